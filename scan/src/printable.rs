//! Text of others for a terminal and for pages: servers choose their names, clusters theirs.

/// The same text without what moves a terminal's cursor, begins a line or reorders one.
pub fn printable(text: &str) -> String {
    text.chars().map(hybridge_page::printable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_that_a_terminal_obeys() {
        let hostile = "a\u{1b}[2J\u{7}b\nnot tried: c\u{202e}d\u{2028}e\u{9b}f";
        let said = printable(hostile);
        let marks = ['\u{202e}', '\u{2028}'];
        assert!(
            !said.contains(|c: char| c.is_control() || marks.contains(&c)),
            "{said:?}"
        );
        assert_eq!(said.chars().count(), hostile.chars().count());
        assert_eq!(printable("CN=bücher, 模型"), "CN=bücher, 模型");
    }
}
