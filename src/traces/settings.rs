//! What the export of traces is told.

use std::time::Duration;

use super::endpoint::Endpoint;
use crate::tls::client;

/// The default of `queue`.
pub const DEFAULT_QUEUE: usize = 2048;

/// What the export of traces is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The collector.
    pub endpoint: Endpoint,
    /// The TLS side of one behind https.
    pub tls: Option<client::Settings>,
    /// What the resource of the spans is called.
    pub service_name: String,
    /// Of the traces that begin here, how many are recorded.
    pub sample: Sample,
    /// Spans that wait for the collector.
    pub queue: usize,
    /// How long one request to the collector may take, connecting included.
    pub timeout: Duration,
}

/// A share of all traces, in millionths.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sample(u32);

const WHOLE: u32 = 1_000_000;

impl Sample {
    /// A number from 0 to 1 with at most six digits behind the point.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 6 {
            return None;
        }
        let whole = whole.parse::<u32>().ok()?.checked_mul(WHOLE)?;
        let millionths = format!("{fraction:0<6}").parse::<u32>().ok()?;
        let sum = whole.checked_add(millionths)?;
        (sum <= WHOLE).then_some(Self(sum))
    }

    /// Whether the trace of this identifier is recorded. Decided by the bits that every SDK decides by, so
    /// that two of the same share agree (OpenTelemetry, `TraceIdRatioBased`).
    pub(super) fn admits(self, trace: &[u8; 16]) -> bool {
        let random = (u128::from_be_bytes(*trace) as u64) >> 1;
        let bound = (u128::from(self.0) << 63) / u128::from(WHOLE);
        u128::from(random) < bound
    }
}

impl std::fmt::Display for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{}.{:06}", self.0 / WHOLE, self.0 % WHOLE);
        let short = text.trim_end_matches('0');
        f.write_str(short)?;
        if short.ends_with('.') {
            f.write_str("0")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_share_is_a_number_from_0_to_1() {
        for (text, shown) in [
            ("0", "0.0"),
            ("1", "1.0"),
            ("1.0", "1.0"),
            ("0.25", "0.25"),
            ("0.000001", "0.000001"),
        ] {
            assert_eq!(Sample::parse(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "1.1",
            "2",
            "-0",
            "0.0000001",
            ".5",
            "1.",
            "1e-3",
            "0,5",
            "99999",
        ] {
            assert_eq!(Sample::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_share_admits_as_many_of_the_identifiers() {
        let admitted = |text: &str| {
            let sample = Sample::parse(text).unwrap();
            let ids = (0..1000_u64).map(|index| {
                let mut id = [7; 16];
                let spread = (index * (u64::MAX / 1000)).to_be_bytes();
                id[8..].copy_from_slice(&spread);
                id
            });
            ids.filter(|id| sample.admits(id)).count()
        };
        assert_eq!(admitted("0"), 0);
        assert_eq!(admitted("1"), 1000);
        assert!(
            (249..=251).contains(&admitted("0.25")),
            "{}",
            admitted("0.25")
        );
        assert!(Sample(WHOLE).admits(&[0xff; 16]));
    }
}
