//! Reads what holds keys, so that no copy of it stays in memory: what grows is zeroed where it was.

use std::io::{self, Read};

use zeroize::Zeroizing;

const FIRST: usize = 16 << 10;

/// A whole text, at most so many bytes; `None` if there are more. `before` runs before each read.
pub(crate) fn read(
    from: impl Read,
    most: u64,
    before: impl Fn() -> io::Result<()>,
) -> io::Result<Option<Zeroizing<String>>> {
    let Some(mut bytes) = read_bytes(from, most, before)? else {
        return Ok(None);
    };
    // The same bytes under another type: no copy.
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
        }
    }
}

/// The same of what need not be a text.
pub(crate) fn read_bytes(
    mut from: impl Read,
    most: u64,
    before: impl Fn() -> io::Result<()>,
) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut bytes = Zeroizing::new(vec![0; FIRST]);
    let mut filled = 0;
    loop {
        if filled == bytes.len() {
            let mut larger = Zeroizing::new(vec![0; filled * 2]);
            for (to, byte) in larger.iter_mut().zip(bytes.iter()) {
                *to = *byte;
            }
            // The smaller one is zeroed here.
            bytes = larger;
        }
        before()?;
        match from.read(bytes.get_mut(filled..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if filled as u64 > most {
            return Ok(None);
        }
    }
    bytes.truncate(filled);
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8], most: u64) -> io::Result<Option<Zeroizing<String>>> {
        read(bytes, most, || Ok(()))
    }

    #[test]
    fn everything_is_read_up_to_the_bound() {
        for length in [0, 1, FIRST - 1, FIRST, FIRST + 1, 5 * FIRST] {
            let text = "x".repeat(length);
            let found = of(text.as_bytes(), length as u64).unwrap().unwrap();
            assert_eq!(*found, text);
            assert!(
                of(format!("{text}y").as_bytes(), length as u64)
                    .unwrap()
                    .is_none()
            );
        }
        assert_eq!(of(b"\xff", 9).unwrap_err().to_string(), "not UTF-8");
        let failing = read(&b"x"[..], 9, || Err(io::Error::other("late")));
        assert_eq!(failing.unwrap_err().to_string(), "late");
    }
}
