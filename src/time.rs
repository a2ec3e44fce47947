//! Durations as people write them: one grammar for configuration, annotations, endpoints and flags.

use std::time::Duration;

/// The units, the smallest first, in milliseconds.
const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];

/// The longest duration that is read, in seconds: 30 days.
pub(crate) const LONGEST: u64 = 30 * 24 * 3600;

/// Reads a whole number and one unit of `ms`, `s`, `m`, `h`: at most [`LONGEST`].
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let millis = scaled(text, &UNITS)?;
    (millis <= LONGEST * 1000).then(|| Duration::from_millis(millis))
}

/// The inverse: the largest unit that says it exactly.
pub(crate) fn duration_text(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    largest_unit(millis, &UNITS)
}

/// Reads a whole number with one of `units`.
pub(crate) fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit.trim())?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

/// Writes `amount` in the largest of `units` that says it exactly.
pub(crate) fn largest_unit(amount: u64, units: &[(&str, u64)]) -> String {
    let exact = |(_, scale): &&(&str, u64)| amount.is_multiple_of(*scale);
    let (name, scale) = units.iter().rev().find(exact).copied().unwrap_or(("", 1));
    format!("{}{name}", amount / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_unit_and_come_back_as_written() {
        for text in ["0s", "250ms", "5s", "2m", "620s", "1h", "720h"] {
            assert_eq!(
                parse_duration(text).map(duration_text).as_deref(),
                Some(text)
            );
        }
        assert_eq!(parse_duration("60s"), parse_duration("1m"));
        assert_eq!(parse_duration(" 5 s "), parse_duration("5s"));
        for text in [
            "",
            "5",
            "s",
            "-5s",
            "1.5s",
            "5 parsecs",
            "1m30s",
            "721h",
            "99999999999999999999s",
            "５s",
            "5µs",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
