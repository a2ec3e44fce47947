//! Writes a block of PEM (RFC 7468). `hybridge_pem` reads them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

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
            let read = hybridge_pem::public_key(around.as_bytes()).unwrap();
            assert_eq!(read.as_ref(), bytes);
        }
    }
}
