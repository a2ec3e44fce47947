//! Arguments of `capacity`, and the numbers that they are.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use crate::capacity::Load;

#[derive(Debug, Args)]
pub struct Capacity {
    /// results.json, or the folder that holds it
    pub results: PathBuf,
    /// The server of the results whose costs count; the first subject if not given
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// Pods of the fleet, each with the load below
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub pods: Option<u32>,
    /// Full handshakes of a pod, a second
    #[arg(long, value_name = "RATE", default_value = "0")]
    pub handshakes: Amount,
    /// Resumed handshakes of a pod, a second
    #[arg(long, value_name = "RATE", default_value = "0")]
    pub resumed: Amount,
    /// HTTP/1.1 requests of a pod, a second
    #[arg(long, value_name = "RATE", default_value = "0")]
    pub requests: Amount,
    /// HTTP/2 requests of a pod, a second
    #[arg(long, value_name = "RATE", default_value = "0")]
    pub http2_requests: Amount,
    /// Tokens of a pod, a second, all streams together
    #[arg(long, value_name = "RATE", default_value = "0")]
    pub tokens: Amount,
    /// Open connections of a pod
    #[arg(long, value_name = "N", default_value = "0")]
    pub connections: Amount,
    /// Tokens a second of one stream, for the streams of a core
    #[arg(long, value_name = "RATE", default_value = "50")]
    pub tokens_per_stream: Positive,
    /// CPU limit of a pod's sidecar, cores
    #[arg(long, value_name = "CORES", default_value = "1")]
    pub cpu_limit: Positive,
    /// Per cent of the limit that the autoscaler aims at
    #[arg(long, value_name = "PERCENT", default_value_t = 70, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub utilisation: u8,
    /// Hold the model against this server of the results too
    #[arg(long, value_name = "NAME")]
    pub against: Option<String>,
}

impl Capacity {
    /// What each pod gets.
    pub fn load(&self) -> Load {
        Load {
            handshakes: self.handshakes.get(),
            resumed: self.resumed.get(),
            requests: self.requests.get(),
            http2_requests: self.http2_requests.get(),
            tokens: self.tokens.get(),
            connections: self.connections.get(),
        }
    }
}

/// A finite number from zero up.
#[derive(Clone, Copy, Debug)]
pub struct Amount(f64);

/// A finite number above zero.
#[derive(Clone, Copy, Debug)]
pub struct Positive(f64);

/// A number from 0 to 100.
#[derive(Clone, Copy, Debug)]
pub struct Percent(f64);

impl Percent {
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Amount {
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Positive {
    pub fn get(self) -> f64 {
        self.0
    }
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let value = text.parse().ok();
        let value = value.filter(|value: &f64| value.is_finite() && *value >= 0.0);
        let expected = || "expected a number from 0 up, such as 2.5".to_owned();
        value.map(Self).ok_or_else(expected)
    }
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected a number from 0 to 100, such as 8".to_owned();
        let Amount(value) = text.parse().map_err(|_| expected())?;
        Some(value)
            .filter(|value| *value <= 100.0)
            .map(Self)
            .ok_or_else(expected)
    }
}

impl FromStr for Positive {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Amount(value) = text.parse()?;
        let expected = || "expected a number above 0, such as 0.5".to_owned();
        Some(value)
            .filter(|value| *value > 0.0)
            .map(Self)
            .ok_or_else(expected)
    }
}
