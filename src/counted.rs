//! A number and what it counts: `1 day`, `2 days`.

use std::fmt::Display;

/// `count` and its noun, whose plural has an `s` more.
pub(crate) fn counted(count: impl Display, noun: &str) -> String {
    let count = count.to_string();
    let ending = if count == "1" { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        for (count, text) in [
            (0, "0 days"),
            (1, "1 day"),
            (2, "2 days"),
            (-1, "-1 days"),
            (11, "11 days"),
        ] {
            assert_eq!(counted(count, "day"), text);
        }
    }
}
