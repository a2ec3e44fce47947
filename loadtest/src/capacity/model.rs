//! The model: `cores = sum(rate x cost)`, `memory = base + connections x memory of one`. Costs add up because each is CPU
//! time of the same process, and none of it waits for another (docs/capacity.md).

use clap::Args;

use super::costs::{Costs, Work};
use crate::error::{Error, Result};

/// What one pod gets.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Full handshakes of a pod, a second
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = amount)]
    pub handshakes: f64,
    /// Resumed handshakes of a pod, a second
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = amount)]
    pub resumed: f64,
    /// HTTP/1.1 requests of a pod, a second
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = amount)]
    pub requests: f64,
    /// HTTP/2 requests of a pod, a second
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = amount)]
    pub http2_requests: f64,
    /// Tokens of a pod, a second, all streams together
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = amount)]
    pub tokens: f64,
    /// Open connections of a pod
    #[arg(long, value_name = "N", default_value = "0", value_parser = amount)]
    pub connections: f64,
}

/// What that needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Needs {
    /// Cores, if the server is busy.
    pub cores_busy: f64,
    /// Cores, if it is woken for each piece of work alone: the most it can be. None where that was not measured of a work.
    pub cores_quiet: Option<f64>,
    /// Resident memory, MiB; none where the file has no memory.
    pub memory_mib: Option<f64>,
    /// Of handshakes, bytes a second.
    pub handshake_bytes: Option<f64>,
}

impl Load {
    fn rates(self) -> [(Work, f64); 5] {
        [
            (Work::FullHandshake, self.handshakes),
            (Work::ResumedHandshake, self.resumed),
            (Work::Http1Request, self.requests),
            (Work::Http2Request, self.http2_requests),
            (Work::Token, self.tokens),
        ]
    }

    /// True where nothing was said of it.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// What one pod needs; work that was not measured is refused, not counted as nothing.
    pub fn needs(self, costs: &Costs) -> Result<Needs> {
        let (mut busy, mut quiet) = (0.0, Some(0.0));
        for (work, rate) in self.rates() {
            if rate == 0.0 {
                continue;
            }
            let Some(cost) = costs.cpu(work) else {
                return Err(Error::Usage(format!(
                    "the results have no CPU of \"{}\" for a {}: run a plan with the scenario {}, or leave that rate out",
                    costs.target,
                    work.title(),
                    work.scenario().name()
                )));
            };
            busy += rate * cost.busy / 1e6;
            quiet = quiet
                .zip(cost.quiet)
                .map(|(sum, cost)| sum + rate * cost / 1e6);
        }
        let connections = match costs.connection_kib {
            Some(kib) => Some(kib * self.connections / 1024.0),
            None if self.connections == 0.0 => Some(0.0),
            None => None,
        };
        Ok(Needs {
            cores_busy: busy,
            cores_quiet: quiet,
            memory_mib: costs
                .base_mib
                .zip(connections)
                .map(|(base, connections)| base + connections),
            handshake_bytes: costs.handshake_bytes.map(|bytes| bytes * self.handshakes),
        })
    }
}

/// Pods for a load that is the fleet's, each at most this busy: `ceil(cores / (limit x utilisation))`, at least one.
pub fn pods_for(cores: f64, limit: f64, utilisation: f64) -> f64 {
    (cores / (limit * utilisation)).ceil().max(1.0)
}

/// A finite number from zero up.
pub fn amount(text: &str) -> std::result::Result<f64, String> {
    let value = text.parse().ok();
    let value = value.filter(|value: &f64| value.is_finite() && *value >= 0.0);
    value.ok_or_else(|| "expected a number from 0 up, such as 2.5".to_owned())
}
