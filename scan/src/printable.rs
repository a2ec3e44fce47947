//! Text of others for a terminal and for pages: servers choose their names, clusters theirs.

/// The same text without what moves a terminal's cursor, begins a line or reorders one.
pub fn printable(text: &str) -> String {
    let plain = |c: char| {
        if c.is_control() || reorders(c) {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    text.chars().map(plain).collect()
}

/// Marks of direction and separators of lines (Unicode UAX #9, UAX #14).
fn reorders(c: char) -> bool {
    matches!(
        c,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_that_a_terminal_obeys() {
        let hostile = "a\u{1b}[2J\u{7}b\nnot tried: c\u{202e}d\u{2028}e\u{9b}f";
        let said = printable(hostile);
        assert!(
            !said.contains(|c: char| c.is_control() || reorders(c)),
            "{said:?}"
        );
        assert_eq!(said.chars().count(), hostile.chars().count());
        assert_eq!(printable("CN=bücher, 模型"), "CN=bücher, 模型");
    }
}
