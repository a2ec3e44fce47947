//! Text of others for terminals, logs and pages.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character is shown as itself and nothing more: a control character could break a line or drive a
/// terminal, a mark of direction or a separator of lines reorder it (Unicode UAX #9, UAX #14).
pub fn is_printable(c: char) -> bool {
    let reorders = matches!(
        c,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    !(c.is_control() || reorders)
}

/// The character, or what stands for one that is not shown.
pub fn printable(c: char) -> char {
    if is_printable(c) {
        c
    } else {
        char::REPLACEMENT_CHARACTER
    }
}

/// JSON, in one line or several, with what is not shown as itself escaped: JSON permits U+007F to U+009F and marks of
/// direction as they are, and a terminal would obey them.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    let is_kept = |c| c == '\n' || is_printable(c);
    if json.chars().all(is_kept) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_kept(c) {
            escaped.push(c);
        } else {
            // All of them are in the first plane. A String takes whatever is written to it.
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_its_lines_and_escapes_what_a_terminal_obeys() {
        let plain = "{\n  \"name\": \"bücher, 模型\"\n}";
        assert!(matches!(printable_json(plain), Cow::Borrowed(same) if same == plain));
        let hostile = "[\"a\u{9b}b\u{202e}\",\n\"\u{2028}\u{7f}\"]";
        assert_eq!(
            printable_json(hostile),
            "[\"a\\u009bb\\u202e\",\n\"\\u2028\\u007f\"]"
        );
    }
}
