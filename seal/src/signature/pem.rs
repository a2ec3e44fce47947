//! One block of PEM (RFC 7468) in a file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// The bytes of the block with one of these labels. Other text around it is skipped.
pub fn decode(text: &str, labels: &[&str]) -> Option<Zeroizing<Vec<u8>>> {
    labels.iter().find_map(|label| {
        let begin = format!("-----BEGIN {label}-----");
        let end = format!("-----END {label}-----");
        let body = text.split_once(&begin)?.1.split_once(&end)?.0;
        // Of their full length at once: what grows leaves copies behind.
        let mut joined = Zeroizing::new(String::with_capacity(body.len()));
        joined.extend(body.split_ascii_whitespace());
        let mut bytes = Zeroizing::new(vec![0; joined.len() / 4 * 3 + 3]);
        let length = STANDARD.decode_slice(joined.as_bytes(), &mut bytes).ok()?;
        bytes.truncate(length);
        Some(bytes)
    })
}

/// How many blocks have one of these labels.
pub(super) fn count(text: &str, labels: &[&str]) -> usize {
    let of_label = |label: &&str| text.matches(&format!("-----BEGIN {label}-----")).count();
    labels.iter().map(of_label).sum()
}

/// Lines of 64 characters, as OpenSSL and Python's cryptography write them.
pub fn encode(label: &str, bytes: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(bytes));
    let room = body.len() + body.len() / 64 + 2 * label.len() + 64;
    let mut text = Zeroizing::new(String::with_capacity(room));
    text.extend(["-----BEGIN ", label, "-----\n"]);
    for (at, c) in body.char_indices() {
        if at > 0 && at % 64 == 0 {
            text.push('\n');
        }
        text.push(c);
    }
    text.extend(["\n-----END ", label, "-----\n"]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_comes_back() {
        for length in [1, 47, 48, 49, 96, 1000] {
            let bytes: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let text = encode("PUBLIC KEY", &bytes);
            assert!(text.lines().all(|line| line.len() <= 64));
            let around = format!("# comment\n{}trailing", *text);
            assert_eq!(decode(&around, &["PUBLIC KEY"]).unwrap().as_slice(), bytes);
            assert!(decode(&around, &["PRIVATE KEY"]).is_none());
        }
        assert!(decode("-----BEGIN X-----\n!\n-----END X-----", &["X"]).is_none());
    }
}
