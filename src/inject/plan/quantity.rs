//! Quantities as Kubernetes writes them, such as `100m` and `64Mi`.

use serde_json::Value;

/// A Kubernetes quantity in billionths of its unit.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Quantity(i128);

impl Quantity {
    /// The whole units in it: bytes for memory.
    pub(crate) fn whole(self) -> u64 {
        u64::try_from(self.0 / 1_000_000_000).unwrap_or(u64::MAX)
    }

    /// Parses `100m`, `0.5`, `64Mi`, `1e3`; `None` for anything else, for zero and for negative values.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits_end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(digits_end);
        let nano = nano(number)?;
        let value = match suffix
            .strip_prefix(['e', 'E'])
            .filter(|exp| !exp.is_empty())
        {
            Some(exponent) => nano.checked_mul(10_i128.checked_pow(exponent.parse().ok()?)?)?,
            None => scale(nano, suffix)?,
        };
        (value > 0).then_some(Self(value))
    }

    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => Self::parse(&number.to_string()),
            _ => None,
        }
    }
}

fn nano(number: &str) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.len() > 9 || whole.len() > 18 {
        return None;
    }
    let whole: i128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let fraction: i128 = if fraction.is_empty() {
        0
    } else {
        let padding = 9_u32.checked_sub(u32::try_from(fraction.len()).ok()?)?;
        fraction
            .parse::<i128>()
            .ok()?
            .checked_mul(10_i128.pow(padding))?
    };
    whole.checked_mul(1_000_000_000)?.checked_add(fraction)
}

fn scale(nano: i128, suffix: &str) -> Option<i128> {
    let factor: i128 = match suffix {
        "n" => return Some(nano / 1_000_000_000),
        "u" => return Some(nano / 1_000_000),
        "m" => return Some(nano / 1_000),
        "" => 1,
        "k" => 10_i128.pow(3),
        "M" => 10_i128.pow(6),
        "G" => 10_i128.pow(9),
        "T" => 10_i128.pow(12),
        "P" => 10_i128.pow(15),
        "E" => 10_i128.pow(18),
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        "Pi" => 1 << 50,
        "Ei" => 1 << 60,
        _ => return None,
    };
    nano.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_compare_by_value_not_by_spelling() {
        for (a, b) in [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1Gi", "1024Mi"),
            ("1e3", "1k"),
            (".5", "500m"),
        ] {
            assert_eq!(Quantity::parse(a), Quantity::parse(b), "{a} {b}");
            assert!(Quantity::parse(a).is_some());
        }
        assert!(Quantity::parse("100m") < Quantity::parse("1"));
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for bad in [
            "",
            "m",
            "1.2.3",
            "100mm",
            "-1",
            "0",
            "1 Gi",
            "ten",
            "1e99",
            "99999999999999999999",
            "1Gb",
            "e",
            ".",
        ] {
            assert_eq!(Quantity::parse(bad), None, "{bad}");
        }
    }
}
