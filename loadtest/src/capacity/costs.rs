//! The measured costs of one server: CPU seconds for each kind of work, memory for a connection, bytes on the wire.

use crate::plan::Scenario;
use crate::results::findings::{Metric, level};
use crate::results::{CaseResult, Results};

/// What work is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    FullHandshake,
    ResumedHandshake,
    Http1Request,
    Http2Request,
    Token,
}

impl Work {
    pub const ALL: [Self; 5] = [
        Self::FullHandshake,
        Self::ResumedHandshake,
        Self::Http1Request,
        Self::Http2Request,
        Self::Token,
    ];

    pub fn title(self) -> &'static str {
        self.measured().0
    }

    pub fn scenario(self) -> Scenario {
        self.measured().1
    }

    /// What it is called, and the scenario that measures it.
    fn measured(self) -> (&'static str, Scenario) {
        match self {
            Self::FullHandshake => ("full handshake", Scenario::FullHandshake),
            Self::ResumedHandshake => ("resumed handshake", Scenario::ResumedHandshake),
            Self::Http1Request => ("HTTP/1.1 request", Scenario::H1Keepalive),
            Self::Http2Request => ("HTTP/2 request", Scenario::H2Keepalive),
            Self::Token => ("streamed token", Scenario::TokenStream),
        }
    }

    fn metric(self) -> Metric {
        match self {
            Self::Token => Metric::ServerCpuPerToken,
            _ => Metric::ServerCpu,
        }
    }
}

/// CPU of one piece of work, microseconds. A server that is busy sleeps and wakes less often for each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// The cheapest case: what counts when the server is full.
    pub busy: f64,
    /// The dearest case: what a server pays that is woken for each piece alone. None where one load alone was measured.
    pub quiet: Option<f64>,
}

/// Everything the model knows of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    pub target: String,
    cpu: Vec<(Work, Cost)>,
    /// Resident memory of a server that has hardly a connection, MiB: the least that was seen.
    pub base_mib: Option<f64>,
    /// Resident memory of an idle connection, KiB.
    pub connection_kib: Option<f64>,
    /// Both directions of a full handshake, bytes.
    pub handshake_bytes: Option<f64>,
}

impl Costs {
    /// Reads those of one target.
    pub fn of(results: &Results, target: &str) -> Self {
        let cpu = Work::ALL
            .into_iter()
            .filter_map(|work| Some((work, cost(results, target, work)?)))
            .collect();
        let memory = comparable(results, Scenario::Idle)
            .find_map(|case| level(case, target, Metric::IdleMemory));
        let bytes = comparable(results, Scenario::FullHandshake).find_map(|case| {
            let up = level(case, target, Metric::HandshakeUp)?;
            let down = level(case, target, Metric::HandshakeDown)?;
            Some(up.mean + down.mean)
        });
        let resident = results
            .cases
            .iter()
            .flat_map(|case| case.blocks_of(target))
            .filter_map(|block| block.server_rss)
            .min();
        Self {
            target: target.to_owned(),
            cpu,
            base_mib: resident.map(|bytes| bytes as f64 / 1_048_576.0),
            connection_kib: memory.map(|memory| memory.mean),
            handshake_bytes: bytes,
        }
    }

    /// True where anything of the server's process was seen.
    pub fn are_any(&self) -> bool {
        !self.cpu.is_empty() || self.base_mib.is_some()
    }

    /// None where the file has no case of it with the server's CPU.
    pub fn cpu(&self, work: Work) -> Option<Cost> {
        let found = self.cpu.iter().find(|(known, _)| *known == work);
        found.map(|(_, cost)| *cost)
    }
}

/// Cases of a scenario without an emulated link, and of its smallest size: larger ones are other work.
pub(super) fn comparable(
    results: &Results,
    scenario: Scenario,
) -> impl Iterator<Item = &CaseResult> {
    let of_scenario =
        move |case: &&CaseResult| case.case.scenario == scenario && case.case.link.is_direct();
    let size = |case: &CaseResult| case.case.up.saturating_add(case.case.down);
    let cases = results.cases.iter();
    let smallest = cases.clone().filter(of_scenario).map(size).min();
    cases
        .filter(of_scenario)
        .filter(move |case| Some(size(case)) == smallest)
}

fn cost(results: &Results, target: &str, work: Work) -> Option<Cost> {
    let levels = comparable(results, work.scenario())
        .filter_map(|case| level(case, target, work.metric()))
        .map(|level| level.mean)
        .filter(|mean| *mean > 0.0);
    let levels: Vec<f64> = levels.collect();
    let busy = levels.iter().copied().reduce(f64::min)?;
    let dearest = levels.iter().copied().reduce(f64::max)?;
    Some(Cost {
        busy,
        quiet: (levels.len() > 1).then_some(dearest),
    })
}
