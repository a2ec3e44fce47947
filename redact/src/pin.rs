//! The PIN of a PKCS#11 token in a URI (RFC 7512 §2.4), however its name is written.

use std::ops::Range;

const NAME: &[u8] = b"pin-value";

/// Where `text` has the attribute: from its name to the end of what may be the PIN. Behind a quotation mark or
/// at the end of a line nothing belongs to it; a space may, because people write a PIN as it is.
pub(super) fn values(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match named(bytes, at) {
            Some(behind) => {
                let end = behind + length(&text[behind..]);
                found.push(at..end);
                at = end;
            }
            None => at += 1,
        }
    }
    found
}

/// Where the value begins, if the name and `=` stand at `at`.
fn named(bytes: &[u8], mut at: usize) -> Option<usize> {
    for wanted in NAME.iter().chain(b"=") {
        let (byte, next) = decoded(bytes, at)?;
        if !byte.eq_ignore_ascii_case(wanted) {
            return None;
        }
        at = next;
    }
    Some(at)
}

/// The byte at `at`, percent-encoded (once or several times) or not, and where the next one begins.
fn decoded(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let byte = *bytes.get(at)?;
    if byte != b'%' {
        return Some((byte, at + 1));
    }
    let mut digits = at + 1;
    while bytes.get(digits..digits + 2) == Some(b"25") {
        digits += 2;
    }
    let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
    let value = digit(digits)? * 16 + digit(digits + 1)?;
    Some((u8::try_from(value).ok()?, digits + 2))
}

/// Bytes of the value.
fn length(text: &str) -> usize {
    let closing = |(at, c): (usize, char)| match c {
        '"' | '`' | '\n' | '\r' | '&' => Some(at),
        // Of a text in a text.
        '\\' if text[at + 1..].starts_with('"') => Some(at),
        // A closing one, not one inside the PIN.
        '\'' => {
            let next = text[at + 1..].chars().next();
            next.is_none_or(|next| next.is_whitespace() || ",.;:)".contains(next))
                .then_some(at)
        }
        _ => None,
    };
    text.char_indices().find_map(closing).unwrap_or(text.len())
}
