//! Names that others chose, as a message may show them: in one line, without what drives a terminal.

use std::fmt;
use std::path::Path;

const LONGEST: usize = 512;

/// A path or a name, safe to print.
#[derive(Clone, Eq, PartialEq)]
pub struct Shown(String);

impl Shown {
    /// Of a text.
    pub fn text(text: &str) -> Self {
        let mut shown = String::with_capacity(text.len().min(LONGEST));
        for c in text.chars().take(LONGEST) {
            if is_plain(c) {
                shown.push(c);
            } else {
                shown.extend(c.escape_unicode());
            }
        }
        if text.chars().nth(LONGEST).is_some() {
            shown.push('…');
        }
        Self(shown)
    }

    /// Of several texts: `a, b`.
    pub fn list(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
        let shown = texts.into_iter().map(|text| Self::text(text.as_ref()).0);
        shown.collect::<Vec<_>>().join(", ")
    }
}

/// Neither a control character nor one that turns the direction of writing or takes no room.
fn is_plain(c: char) -> bool {
    let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    !c.is_control() && !hidden
}

impl From<&Path> for Shown {
    fn from(path: &Path) -> Self {
        Self::text(&path.to_string_lossy())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Bytes for people: `1.5 GiB`.
pub fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    for (shift, unit) in units {
        if bytes >= 1 << shift {
            return format!("{:.1} {unit}", bytes as f64 / (1_u64 << shift) as f64);
        }
    }
    match bytes {
        1 => "1 byte".to_owned(),
        bytes => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drives_a_terminal_is_spelled_out() {
        let name = "a\u{1b}[31m\nb\u{202e}c é";
        let shown = Shown::text(name).to_string();
        assert_eq!(shown, "a\\u{1b}[31m\\u{a}b\\u{202e}c é");
        assert!(Shown::text(&"x".repeat(600)).to_string().ends_with("x…"));
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(size(1), "1 byte");
        assert_eq!(size(17), "17 bytes");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(5 << 30), "5.0 GiB");
    }
}
