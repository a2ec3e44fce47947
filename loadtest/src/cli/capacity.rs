//! Arguments of `capacity`, and the numbers that they are.

use std::path::PathBuf;

use clap::Args;

use crate::capacity::{Load, model::amount};

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
    #[command(flatten)]
    pub load: Load,
    /// Tokens a second of one stream, for the streams of a core
    #[arg(long, value_name = "RATE", default_value = "50", value_parser = positive)]
    pub tokens_per_stream: f64,
    /// CPU limit of a pod's sidecar, cores
    #[arg(long, value_name = "CORES", default_value = "1", value_parser = positive)]
    pub cpu_limit: f64,
    /// Per cent of the limit that the autoscaler aims at
    #[arg(long, value_name = "PERCENT", default_value_t = 70, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub utilisation: u8,
    /// Hold the model against this server of the results too
    #[arg(long, value_name = "NAME")]
    pub against: Option<String>,
}

/// A finite number above zero.
fn positive(text: &str) -> Result<f64, String> {
    let value = Some(amount(text)?).filter(|value| *value > 0.0);
    value.ok_or_else(|| "expected a number above 0, such as 0.5".to_owned())
}

/// A number from 0 to 100.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    let value = amount(text).ok().filter(|value| *value <= 100.0);
    value.ok_or_else(|| "expected a number from 0 to 100, such as 8".to_owned())
}
