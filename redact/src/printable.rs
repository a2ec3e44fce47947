//! What a terminal shows as text: no control characters.

pub(super) use hybridge_page::printable;
pub use hybridge_page::{is_printable, printable_json};

/// A line that holds words of others, such as the names of a cluster's objects, for a terminal.
pub fn one_line(line: &str) -> String {
    line.chars().map(printable).collect()
}

/// The same for a message that may have several lines of its own.
pub fn lines(message: &str) -> String {
    let kept = |c| if c == '\n' { c } else { printable(c) };
    message.chars().map(kept).collect()
}
