//! What is run, once everything is decided: targets, cases, load and repetitions. The TOML form is in `file`,
//! the scenarios in `scenario`.

pub mod arrivals;
mod embedded;
pub mod file;
pub mod scenario;
mod syntax;
pub mod uses;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::net::link::{Link, show_size, show_us};
use crate::tls::Group;
pub use embedded::load;
pub use scenario::{Scenario, Speaks};

/// A whole run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub name: String,
    /// The plan as it was written, kept in the results.
    pub text: String,
    /// Empty: the tool starts its own.
    pub targets: Vec<Target>,
    /// Files with the ids of processes that work for the run, such as a backend behind the targets: their CPU time is not
    /// that of others.
    pub beside: Vec<PathBuf>,
    pub cases: Vec<Case>,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub name: String,
    /// `https://host:port`, `http://…` (no TLS) or `tls://…` (raw TCP blocks inside TLS).
    pub url: String,
    pub role: Role,
    /// Offered groups; a share is sent for the first. None without TLS.
    pub groups: Vec<Group>,
    /// The group every connection must have negotiated.
    pub expect: Group,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// What the client presents to a server that asks for a certificate; written together or not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<PathBuf>,
    /// Where the server's CPU and memory are read: its process (children included)…
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// …a file that holds its process id…
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_file: Option<PathBuf>,
    /// …or its metrics, which also check the counted bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<String>,
    /// The listener's name in those metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    /// Connections to this target instead of the case's, to compare a server with itself under another load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
}

/// Which differences are taken: every subject against every baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Subject,
    Baseline,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Subject => "subject",
            Self::Baseline => "baseline",
        })
    }
}

/// One scenario over one link under one load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub scenario: Scenario,
    pub link: Link,
    pub load: Load,
    /// Operations at the same time on each connection, where the scenario speaks HTTP/2.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub streams: u32,
    /// Bytes up per operation: request body, update, block.
    pub up: u64,
    /// Bytes down per operation: response body, model, block.
    pub down: u64,
    /// Tokens of one streamed response.
    pub tokens: u32,
    /// Pause between tokens at the model, microseconds.
    pub token_interval_us: u64,
    /// Pairs of blocks.
    pub rounds: u32,
    /// Length of one block, milliseconds; a block is at least one operation per connection.
    pub block_ms: u64,
    /// Discarded before each block, milliseconds.
    pub warmup_ms: u64,
}

/// How operations arrive.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Load {
    /// Each connection starts the next operation when the last has ended.
    Closed { connections: u32 },
    /// Operations are due at a constant rate per second, and a free client takes the next; latency counts from the
    /// scheduled moment.
    Open { per_second: f64, connections: u32 },
}

impl Load {
    /// Every number of connections with every rate, or back to back where there is no rate.
    pub fn combinations(rates: &[f64], connections: &[u32]) -> Vec<Self> {
        let connections = || connections.iter().copied();
        let open = |per_second: &f64| {
            let per_second = *per_second;
            connections().map(move |connections| Self::Open {
                per_second,
                connections,
            })
        };
        if rates.is_empty() {
            let closed = |connections| Self::Closed { connections };
            return connections().map(closed).collect();
        }
        rates.iter().flat_map(open).collect()
    }

    pub fn connections(&self) -> u32 {
        match self {
            Self::Closed { connections } | Self::Open { connections, .. } => *connections,
        }
    }
}

impl Target {
    /// A target that is observed by nothing but its responses.
    pub fn new(name: &str, url: String, role: Role, groups: Vec<Group>) -> Self {
        Self {
            name: name.to_owned(),
            url,
            role,
            expect: groups.first().copied().unwrap_or(Group::X25519),
            groups,
            ca: None,
            server_name: None,
            client_cert: None,
            client_key: None,
            pid: None,
            pid_file: None,
            metrics: None,
            listener: None,
            connections: None,
        }
    }
}

/// Bytes a second that a server manages at least, for all its connections together.
const SLOW: u64 = 10 << 20;
/// Bounds of the patience with an operation.
const SHORTEST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_hours(24);

fn one() -> u32 {
    1
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out a reference"
)]
fn is_one(streams: &u32) -> bool {
    *streams == 1
}

impl Case {
    /// Unique within a run, and what the report calls it.
    pub fn title(&self) -> String {
        let mut parts = vec![self.scenario.title().to_owned()];
        for (amount, way) in [(self.up, "up"), (self.down, "down")] {
            if amount > 0 {
                parts.push(format!("{} {way}", show_size(amount)));
            }
        }
        if self.tokens > 0 && self.scenario.streams_tokens() {
            let ending = if self.tokens == 1 { "" } else { "s" };
            parts.push(format!("{} token{ending}", self.tokens));
            match self.token_interval_us {
                _ if self.tokens == 1 => {}
                0 => parts.push("at once".into()),
                interval => parts.push(format!("{} apart", show_us(interval))),
            }
        }
        if let Load::Open { per_second, .. } = self.load {
            parts.push(format!("{per_second} per second"));
        }
        match self.load.connections() {
            1 if self.streams > 1 => parts.push("1 connection".into()),
            1 => {}
            connections => parts.push(format!("{connections} connections")),
        }
        if self.streams > 1 {
            parts.push(format!("{} streams", self.streams));
        }
        if !self.link.is_direct() {
            parts.push(format!("{}", self.link));
        }
        parts.join(", ")
    }

    /// How long this case should take with that many targets.
    pub fn expected(&self, targets: usize) -> Duration {
        self.block() * self.rounds * targets as u32
    }

    /// The same for one block.
    pub fn block(&self) -> Duration {
        if self.scenario == Scenario::Idle {
            return Duration::from_millis(300 + u64::from(self.load.connections()));
        }
        Duration::from_millis(self.block_ms + self.warmup_ms) + self.link.rtt() * 4
    }

    /// How long an operation may take: ten times what it should, and half a minute at least. One that takes longer
    /// has failed.
    pub fn patience(&self) -> Duration {
        let together = u64::from(self.load.connections()) * u64::from(self.streams);
        let bytes = self.up.saturating_add(self.down).saturating_mul(together);
        let rate = match self.link.bits_per_second {
            0 => SLOW,
            bits => (bits / 8).clamp(1, SLOW),
        };
        let tokens = self.token_interval_us.saturating_mul(self.tokens.into());
        let expected = Duration::from_secs(bytes / rate)
            .saturating_add(Duration::from_micros(tokens))
            .saturating_add(self.link.rtt() * 10);
        expected.saturating_mul(10).clamp(SHORTEST, LONGEST)
    }

    /// The same with another number of connections.
    #[must_use]
    pub fn with_connections(&self, count: u32) -> Self {
        let mut case = self.clone();
        match &mut case.load {
            Load::Closed { connections } | Load::Open { connections, .. } => *connections = count,
        }
        case
    }

    /// A shard's part of the load: connections and rate divided, at least one connection.
    pub fn shard(&mut self, of: u32) {
        match &mut self.load {
            Load::Closed { connections } => *connections = (*connections).div_ceil(of).max(1),
            Load::Open {
                per_second,
                connections,
            } => {
                *per_second /= f64::from(of);
                *connections = (*connections).div_ceil(of).max(1);
            }
        }
    }
}
