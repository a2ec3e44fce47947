//! Ports as operators write them: one, or a range. Pure.

use std::fmt;
use std::str::FromStr;

/// The ports from one to another, both among them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// Why a text is no port and no range; continues the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("is not a port from 1 to 65535 or a range such as 1024-65535")]
pub struct PortRangeError;

impl PortRange {
    /// Every port.
    pub(crate) const ALL: Self = Self {
        first: 1,
        last: u16::MAX,
    };

    /// Whether a port is among them.
    pub(crate) fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;

    fn from_str(text: &str) -> Result<Self, PortRangeError> {
        let port = |text: &str| port_number(text).ok_or(PortRangeError);
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (port(first)?, port(last)?),
            None => (port(text)?, port(text)?),
        };
        if first > last {
            return Err(PortRangeError);
        }
        Ok(Self { first, last })
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.last > self.first {
            write!(f, "-{}", self.last)?;
        }
        Ok(())
    }
}

/// A port as it is written: digits, without a sign or a leading zero.
pub(in crate::proxy) fn port_number(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_range_is_one_port_or_from_one_to_another() {
        for (text, inside, outside) in [
            ("29500", &[29500][..], &[29499, 29501][..]),
            ("1024-65535", &[1024, 65535], &[1, 1023]),
            ("7-7", &[7], &[6, 8]),
        ] {
            let range: PortRange = text.parse().unwrap();
            assert!(inside.iter().all(|port| range.contains(*port)), "{text}");
            assert!(!outside.iter().any(|port| range.contains(*port)), "{text}");
        }
        assert_eq!("7-7".parse::<PortRange>().unwrap().to_string(), "7");
        for text in [
            "", "0", "*", "9-7", "1-", "-1", "+1", "070", "1-65536", "1-2-3",
        ] {
            assert_eq!(text.parse::<PortRange>(), Err(PortRangeError), "{text}");
        }
    }
}
