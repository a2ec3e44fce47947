//! What a terminal shows as text: no control characters.

/// Whether a character is shown as itself and nothing more: a control character could break a log line or drive
/// a terminal, a mark of direction reorder it (Unicode UAX #9).
pub fn is_printable(c: char) -> bool {
    let reorders = matches!(
        c,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    !(c.is_control() || reorders)
}

/// The character, or what stands for one that is not shown.
pub(super) fn printable(c: char) -> char {
    if is_printable(c) {
        c
    } else {
        char::REPLACEMENT_CHARACTER
    }
}

/// A line that holds words of others, such as the names of a cluster's objects, for a terminal.
pub fn one_line(line: &str) -> String {
    line.chars().map(printable).collect()
}

/// The same for a message that may have several lines of its own.
pub fn lines(message: &str) -> String {
    let kept = |c| if c == '\n' { c } else { printable(c) };
    message.chars().map(kept).collect()
}
