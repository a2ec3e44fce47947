//! Text of others for terminals, logs and pages.

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
