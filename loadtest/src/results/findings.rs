//! From blocks to findings: one value per block and metric, paired differences, totals. Pure functions, shared by
//! report, charts and comparison.

use hdrhistogram::Histogram;

use super::histogram::{Packed, empty, sum};
use super::{Block, CaseResult};
use crate::plan::Scenario;
use crate::stats::{Interval, interval, paired, paired_ratio};

const MEDIAN: f64 = 0.5;
/// The quantile by which tails are told.
const TAIL: f64 = 0.99;

/// A figure every block has, or has where it could be observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Median latency of an operation, microseconds.
    Median,
    /// 99th percentile, microseconds.
    P99,
    /// Median time to first token, microseconds.
    FirstToken,
    /// Median gap between tokens, microseconds.
    TokenGap,
    /// What a token's way took, or its lateness where the model server does not stamp it, 99th percentile, microseconds.
    TokenDelay,
    /// Operations per second.
    Rate,
    /// Payload, MiB per second.
    Throughput,
    /// Server CPU per operation, microseconds.
    ServerCpu,
    /// Server CPU per token, microseconds.
    ServerCpuPerToken,
    /// Server CPU per GiB of payload, milliseconds.
    ServerCpuPerGib,
    /// Wire bytes per operation beyond the application's own, in per cent of those.
    Overhead,
    /// Handshake bytes per connection: sent by the client.
    HandshakeUp,
    /// Handshake bytes per connection: sent by the server, tickets apart.
    HandshakeDown,
    /// All bytes on the wire per operation, both directions.
    Wire,
    /// Resident memory of the server per idle connection, KiB.
    IdleMemory,
}

impl Metric {
    pub fn title(self) -> &'static str {
        self.words().0
    }

    /// What conditions and CSV call it.
    pub fn name(self) -> &'static str {
        self.words().1
    }

    pub fn unit(self) -> &'static str {
        self.words().2
    }

    /// Title, name and unit.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Median => ("latency, median", "latency", "us"),
            Self::P99 => ("latency, p99", "p99", "us"),
            Self::FirstToken => ("time to first token, median", "first-token", "us"),
            Self::TokenGap => ("gap between tokens, median", "token-gap", "us"),
            Self::TokenDelay => ("added latency per token, p99", "token-delay", "us"),
            Self::Rate => ("operations per second", "rate", "/s"),
            Self::Throughput => ("throughput", "throughput", "MiB/s"),
            Self::ServerCpu => ("server CPU per operation", "cpu-per-operation", "us"),
            Self::ServerCpuPerToken => ("server CPU per token", "cpu-per-token", "us"),
            Self::ServerCpuPerGib => ("server CPU per GiB", "cpu-per-gib", "ms"),
            Self::Overhead => ("bytes beyond the payload", "overhead", "%"),
            Self::HandshakeUp => ("handshake bytes up", "handshake-up", "B"),
            Self::HandshakeDown => ("handshake bytes down", "handshake-down", "B"),
            Self::Wire => ("bytes on the wire per operation", "bytes", "B"),
            Self::IdleMemory => ("memory per idle connection", "memory", "KiB"),
        }
    }

    /// What one block says, of a figure that is no quantile; none where it could not be seen.
    fn quotient(self, block: &Block) -> Option<f64> {
        let ops = block.ops as f64;
        let units = block.units as f64;
        let per = |amount: f64, of: f64| (of > 0.0).then(|| amount / of);
        let bytes = &block.bytes;
        let plain = bytes.plain_up.saturating_add(bytes.plain_down) as f64;
        let wire = bytes.wire_up.saturating_add(bytes.wire_down) as f64;
        match self {
            Self::Median | Self::P99 | Self::FirstToken | Self::TokenGap | Self::TokenDelay => None,
            Self::Rate => per(ops, block.elapsed_s),
            Self::Throughput => per(plain / 1_048_576.0, block.elapsed_s),
            Self::ServerCpu => per(block.server_cpu_s? * 1e6, ops),
            Self::ServerCpuPerToken => per(block.server_cpu_s? * 1e6, units),
            Self::ServerCpuPerGib => per(block.server_cpu_s? * 1e3, plain / 1_073_741_824.0),
            Self::Overhead => per((wire - plain) * 100.0, plain),
            Self::HandshakeUp => per(bytes.handshake_up as f64, bytes.handshakes as f64),
            Self::HandshakeDown => per(bytes.handshake_down as f64, bytes.handshakes as f64),
            Self::Wire => per(wire, ops),
            Self::IdleMemory => per(block.rss_added? as f64 / 1024.0, ops),
        }
    }

    /// Of which values it is a quantile, and which; none where it is none, or the block has no such values.
    fn quantile_in(self, block: &Block) -> Option<(&Packed, f64)> {
        match self {
            Self::Median => Some((&block.latency, MEDIAN)),
            Self::P99 => Some((&block.latency, TAIL)),
            Self::FirstToken => Some((block.first.as_ref()?, MEDIAN)),
            Self::TokenGap => Some((block.gap.as_ref()?, MEDIAN)),
            Self::TokenDelay => Some((block.late.as_ref()?, TAIL)),
            _ => None,
        }
    }

    /// The figures a scenario is told by, the most important first.
    pub fn for_scenario(scenario: Scenario) -> Vec<Self> {
        let tail = [Self::ServerCpu, Self::Rate];
        match scenario {
            Scenario::Idle => vec![Self::IdleMemory],
            Scenario::TokenStream => vec![
                Self::FirstToken,
                Self::TokenGap,
                Self::TokenDelay,
                Self::Median,
                Self::ServerCpuPerToken,
                Self::Wire,
            ],
            _ if scenario.is_handshake() => [
                &[
                    Self::Median,
                    Self::P99,
                    Self::HandshakeUp,
                    Self::HandshakeDown,
                ][..],
                &tail,
            ]
            .concat(),
            _ if scenario.is_bulk() => {
                vec![
                    Self::Median,
                    Self::Throughput,
                    Self::Wire,
                    Self::Overhead,
                    Self::ServerCpuPerGib,
                ]
            }
            _ => [&[Self::Median, Self::P99, Self::Wire][..], &tail].concat(),
        }
    }
}

/// A quantile in microseconds; none of an empty histogram.
pub fn quantile(histogram: &Histogram<u64>, q: f64) -> Option<f64> {
    (!histogram.is_empty()).then(|| histogram.value_at_quantile(q) as f64 / 1000.0)
}

/// Whether so many values have a quantile: of ten, the 99th percentile would be the largest.
pub fn reaches(values: u64, q: f64) -> bool {
    // A product that rounding has left just below one is one.
    q <= MEDIAN || values as f64 * (1.0 - q) > 1.0 - 1e-9
}

/// What each block of one target says, with its pair; none where a quantile would need longer blocks: as many values as they
/// have on average, because each by itself would leave out the slow ones.
fn figures(case: &CaseResult, target: &str, metric: Metric) -> Vec<(u32, f64)> {
    let (mut values, mut blocks, mut deepest) = (0, 0, MEDIAN);
    let mut figures = Vec::new();
    for block in case.blocks_of(target) {
        let figure = match metric.quantile_in(block) {
            None => metric.quotient(block),
            Some((packed, q)) => {
                let histogram = packed.histogram().unwrap_or_else(|_| empty());
                values += histogram.len();
                blocks += 1;
                deepest = q;
                quantile(&histogram, q)
            }
        };
        figures.extend(figure.map(|figure| (block.pair, figure)));
    }
    if blocks > 0 && !reaches(values / blocks, deepest) {
        figures.clear();
    }
    figures
}

/// The values of one target, block by block; none where a quantile would need longer blocks.
pub fn values(case: &CaseResult, target: &str, metric: Metric) -> Vec<f64> {
    let figures = figures(case, target, metric).into_iter();
    figures.map(|(_, value)| value).collect()
}

/// The target's own level with its interval.
pub fn level(case: &CaseResult, target: &str, metric: Metric) -> Option<Interval> {
    interval(&values(case, target, metric))
}

/// Values of two targets, pair by pair; none where a quantile would need longer blocks.
fn pairs(case: &CaseResult, from: &str, to: &str, metric: Metric) -> (Vec<f64>, Vec<f64>) {
    let theirs = figures(case, to, metric);
    let of_pair = |pair| theirs.iter().find(|(other, _)| *other == pair);
    figures(case, from, metric)
        .into_iter()
        .filter_map(|(pair, a)| Some((a, of_pair(pair)?.1)))
        .unzip()
}

/// `to - from`, pair by pair.
pub fn difference(case: &CaseResult, from: &str, to: &str, metric: Metric) -> Option<Interval> {
    let (a, b) = pairs(case, from, to, metric);
    paired(&a, &b)
}

/// `to / from`, pair by pair.
pub fn ratio(case: &CaseResult, from: &str, to: &str, metric: Metric) -> Option<Interval> {
    let (a, b) = pairs(case, from, to, metric);
    paired_ratio(&a, &b)
}

/// All latencies of one target in one histogram.
pub fn latencies(case: &CaseResult, target: &str) -> Histogram<u64> {
    sum(case.blocks_of(target).map(|block| &block.latency)).unwrap_or_else(|_| empty())
}
