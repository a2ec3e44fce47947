//! Paths as Go's net/url writes them: what a request line cannot hold is percent-encoded.

use std::fmt::Write as _;

/// The same text with bytes that are no UTF-8 percent-encoded.
pub(super) fn text_of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        push_all(&mut text, chunk.invalid());
    }
    text
}

/// The path percent-encoded; one that can stand as it is stays (`URL.EscapedPath`). `None`: a percent sign without
/// two digits.
pub(super) fn escaped(path: &str) -> Option<String> {
    let decoded = decoded(path)?;
    if path.bytes().all(|b| may_stand(b) || b == b'%') {
        return Some(path.to_owned());
    }
    let mut text = String::with_capacity(path.len());
    for byte in decoded {
        if may_stand(byte) && !b"!'()*[]".contains(&byte) {
            text.push(byte.into());
        } else {
            push_all(&mut text, &[byte]);
        }
    }
    Some(text)
}

/// Bytes of a path that need no encoding (RFC 3986 §3.3, and what net/url takes besides).
fn may_stand(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/[]".contains(&byte)
}

/// The bytes that a text stands for; `None`: a percent sign without two digits.
pub(super) fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.as_bytes().split_at_checked(2)?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let value = digit(digits[0])? << 4 | digit(digits[1])?;
        bytes.push(value as u8);
        bytes.extend_from_slice(rest);
    }
    Some(bytes)
}

fn push_all(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(text, "%{byte:02X}");
    }
}
