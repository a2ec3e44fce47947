//! The emulated link as data: round-trip time and bandwidth, as written in flags and plans ("20ms", "100Mbit").

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Between client and target; the default is the bare loopback, without a relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Round-trip time in microseconds, half of it each way; 0 adds none.
    pub rtt_us: u64,
    /// Bits per second each way; 0 is unlimited.
    pub bits_per_second: u64,
}

impl Link {
    /// Every round trip with every bandwidth, as they are written; none is 0.
    pub fn combinations(rtts: &[String], bandwidths: &[String]) -> Result<Vec<Self>, String> {
        let zero = ["0".to_owned()];
        let [rtts, bandwidths] =
            [rtts, bandwidths].map(|values| if values.is_empty() { &zero } else { values });
        let mut links = Vec::new();
        for rtt in rtts {
            for bandwidth in bandwidths {
                links.push(Self {
                    rtt_us: parse_duration(rtt)?.as_micros() as u64,
                    bits_per_second: parse_bandwidth(bandwidth)?,
                });
            }
        }
        Ok(links)
    }

    pub fn is_direct(&self) -> bool {
        *self == Self::default()
    }

    pub fn rtt(&self) -> Duration {
        Duration::from_micros(self.rtt_us)
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.rtt_us, self.bits_per_second) {
            (0, 0) => f.write_str("loopback"),
            (rtt, 0) => write!(f, "RTT {}", show_us(rtt)),
            (0, rate) => write!(f, "{}", show_bits(rate)),
            (rtt, rate) => write!(f, "RTT {}, {}", show_us(rtt), show_bits(rate)),
        }
    }
}

/// Microseconds, in the unit of which they are a whole number.
pub fn show_us(us: u64) -> String {
    whole(us, &[(1000, "ms")], "us")
}

fn show_bits(rate: u64) -> String {
    let units = [
        (1_000_000_000, "Gbit/s"),
        (1_000_000, "Mbit/s"),
        (1_000, "kbit/s"),
    ];
    whole(rate, &units, "bit/s")
}

/// Bytes for people, in powers of two.
pub fn show_size(bytes: u64) -> String {
    whole(
        bytes,
        &[(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")],
        "B",
    )
}

/// In the largest unit of which it is a whole number.
fn whole(value: u64, units: &[(u64, &str)], smallest: &str) -> String {
    let fits = |unit: &(u64, &str)| value > 0 && value.is_multiple_of(unit.0);
    let found = units.iter().copied().find(fits);
    let (unit, name) = found.unwrap_or((1, smallest));
    format!("{} {name}", value / unit)
}

/// No round, pause or round-trip time of a plan is longer.
const LONGEST: Duration = Duration::from_hours(24);
/// Bits a second: below it, a single packet takes ten seconds.
const SLOWEST: u64 = 1000;

/// A duration such as `0`, `300ms`, `1.5s`, `80us`, `2m`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_number(text);
    let scale = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "" if number == Some(0.0) => 0.0,
        _ => {
            return Err(format!(
                "\"{text}\" is not a duration; write a number and us, ms, s or m, such as 20ms"
            ));
        }
    };
    let duration = number
        .and_then(|number| Duration::try_from_secs_f64(number * scale).ok())
        .ok_or_else(|| format!("\"{text}\" is not a duration; write such as 20ms"))?;
    if duration > LONGEST {
        return Err(format!("\"{text}\" is longer than a day"));
    }
    if duration < Duration::from_micros(1) && number != Some(0.0) {
        return Err(format!(
            "\"{text}\" is shorter than a microsecond; write 0 for none"
        ));
    }
    Ok(duration)
}

/// A bandwidth such as `100Mbit`, `1Gbit`; `0` is unlimited.
pub fn parse_bandwidth(text: &str) -> Result<u64, String> {
    let (number, unit) = split_number(text);
    let scale = match unit {
        "kbit" => 1e3,
        "Mbit" => 1e6,
        "Gbit" => 1e9,
        "" if number == Some(0.0) => 0.0,
        _ => {
            return Err(format!(
                "\"{text}\" is not a bandwidth; write such as 100Mbit or 1Gbit, or 0 for no limit"
            ));
        }
    };
    let bits = number
        .map(|number| (number * scale) as u64)
        .ok_or_else(|| format!("\"{text}\" is not a bandwidth"))?;
    if bits < SLOWEST && number != Some(0.0) {
        return Err(format!(
            "\"{text}\" is less than 1kbit; write 0 for no limit"
        ));
    }
    Ok(bits)
}

/// A size such as `0`, `512`, `64KiB`, `32MiB`, `1GiB`.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split_number(text);
    let scale = match unit {
        "" | "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        _ => {
            return Err(format!(
                "\"{text}\" is not a size; write bytes, or a number and KiB, MiB or GiB"
            ));
        }
    };
    number
        .map(|number| (number * scale) as u64)
        .ok_or_else(|| format!("\"{text}\" is not a size"))
}

fn split_number(text: &str) -> (Option<f64>, &str) {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    (text[..end].parse().ok(), text[end..].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_with_their_units_and_refused_without() {
        assert_eq!(parse_duration("80ms"), Ok(Duration::from_millis(80)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        assert!(parse_duration("80").is_err_and(|text| text.contains("\"80\"")));
        assert_eq!(parse_bandwidth("1.5Mbit"), Ok(1_500_000));
        assert!(parse_bandwidth("5MB").is_err());
        assert_eq!(parse_size("64KiB"), Ok(65_536));
        assert!(parse_size("x").is_err());
    }

    #[test]
    fn a_link_reads_as_a_person_would_write_it() {
        assert_eq!(Link::default().to_string(), "loopback");
        let link = Link {
            rtt_us: 20_000,
            bits_per_second: 100_000_000,
        };
        assert_eq!(link.to_string(), "RTT 20 ms, 100 Mbit/s");
    }
}
