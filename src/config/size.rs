//! Sizes as people write them: a whole number and a binary unit.

use crate::time::{largest_unit, scaled};

const SIZE_UNITS: [(&str, u64); 4] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

pub(super) fn parse_size(text: &str) -> Option<u64> {
    scaled(text, &SIZE_UNITS)
}

/// The inverse: the largest unit that says it exactly.
pub(super) fn size_text(bytes: u64) -> String {
    largest_unit(bytes, &SIZE_UNITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_binary_unit() {
        assert_eq!(parse_size("64KiB"), Some(65536));
        assert_eq!(size_text(65536), "64KiB");
        assert_eq!(size_text(1025), "1025B");
        for text in ["64", "64KB", "64kib", "KiB", "18446744073709551615GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
