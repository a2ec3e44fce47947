//! A door for the fuzz target into what reads tickets and their keys. Built for it and for tests only.

use std::path::Path;

use super::facts::Facts;
use super::file::KeyFile;
use super::session::Session;

/// What can be read of `bytes` is written the same again; the rest is refused.
pub fn read(bytes: &[u8]) {
    if let Some(session) = Session::parse(bytes) {
        let one = session.with_certificate(Some(b"\x01facts"));
        let one = one.unwrap_or_default();
        let read = Session::parse(&one).map(|session| session.certificates);
        assert_eq!(read, Some(vec![&b"\x01facts"[..]]));
        let none = session.with_certificate(None).unwrap_or_default();
        let read = Session::parse(&none).map(|session| session.certificates);
        assert_eq!(read, Some(Vec::new()));
    }
    if let Some(facts) = Facts::decode(bytes)
        && let Some(text) = facts.encode()
    {
        assert_eq!(Facts::decode(&text), Some(facts));
    }
    if let Ok(file) = KeyFile::parse(Path::new("tickets"), bytes) {
        let again = KeyFile::parse(Path::new("tickets"), file.text().as_bytes());
        assert_eq!(again.map(|file| file.text()).ok(), Some(file.text()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A short run of what the fuzz target does at length.
    #[test]
    fn what_can_be_read_is_written_the_same_again() {
        let session = [
            &[1, 9][..],
            b"localhost",
            &[3, 4, 0x13, 1, 32],
            &[7; 32],
            &[0, 1, 0, 0, 5, 0, 0, 2, 8, 9, 1, 2],
            b"h2",
            &[0, 0],
            &[5; 12],
        ]
        .concat();
        let facts = [
            &[2][..],
            &[0; 16],
            &[0, 1],
            b"a",
            &[0, 3],
            b"rsa",
            &[0, 0],
            &[0, 1, 0, 1],
            b"b",
            &[0, 1, 0, 1],
            b"c",
            &[0, 0],
            &[0, 1, 0, 3],
            b"::1",
        ]
        .concat();
        let file = b"active AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\n".to_vec();
        assert!(Session::parse(&session).is_some() && Facts::decode(&facts).is_some());
        let mut seed = 1_u64;
        for text in [session, facts, file] {
            read(&text);
            for _ in 0..4_000 {
                let mut number = || {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (seed >> 33) as usize
                };
                let mut changed = text.clone();
                for _ in 0..=number() % 3 {
                    let at = number() % changed.len();
                    changed[at] = number() as u8;
                }
                changed.truncate(text.len() - (number() % 4) * (number() % 2));
                read(&changed);
            }
        }
    }
}
