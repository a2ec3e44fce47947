//! How much a result file may hold: what is read may be a stranger's, and every figure is computed from every block.

use std::collections::BTreeMap;

use super::{CaseResult, Results};
use crate::plan::{Load, Plan};

/// No block counts more, of bytes or of anything else; sums of what is read cannot overflow.
const LARGEST: u64 = 1 << 48;
/// No duration, share or rate of a file is larger.
const LONGEST: f64 = 1e12;
const TARGETS: usize = 256;
const CASES: usize = 1_000;
/// Of one case, and of all.
const BLOCKS: (usize, usize) = (30_000, 100_000);
/// Warnings, checks, words of the command and the like.
pub(super) const ENTRIES: usize = 10_000;

impl Results {
    /// What of a plan with these versions would be too much in a file: a run must not end in results that nobody reads.
    pub fn check_planned(plan: &Plan, versions: BTreeMap<String, String>) -> Result<(), String> {
        // The tool's own servers are two for a case.
        let targets = plan.targets.len().max(2);
        let blocks = plan
            .cases
            .iter()
            .map(|case| targets.saturating_mul(case.rounds as usize));
        is_within([
            (targets, TARGETS, "targets"),
            (plan.cases.len(), CASES, "cases"),
            (
                blocks.clone().max().unwrap_or(0),
                BLOCKS.0,
                "blocks (targets times rounds) in one case",
            ),
            (
                blocks.fold(0, usize::saturating_add),
                BLOCKS.1,
                "blocks (targets times rounds)",
            ),
            (
                versions.len() + targets,
                ENTRIES,
                "versions of targets and notes",
            ),
        ])?;
        let mut planned = Self::of(plan.targets.clone());
        planned.provenance.plan_name.clone_from(&plan.name);
        planned.provenance.plan.clone_from(&plan.text);
        planned.provenance.versions = versions;
        planned.make_printable()
    }

    /// What is too much or impossible in a file.
    pub(super) fn check_bounds(&self) -> Result<(), String> {
        let blocks = self.cases.iter().map(|case| case.blocks.len());
        let p = &self.provenance;
        let lists = [
            self.links.len(),
            self.checks.len(),
            self.warnings.len(),
            self.skipped.len(),
            p.command.len(),
            p.versions.len(),
            p.machine.cpu_flags.len(),
        ];
        is_within([
            (self.targets.len(), TARGETS, "targets"),
            (self.cases.len(), CASES, "cases"),
            (
                blocks.clone().max().unwrap_or(0),
                BLOCKS.0,
                "blocks in one case",
            ),
            (blocks.sum(), BLOCKS.1, "blocks"),
            (
                lists.into_iter().max().unwrap_or(0),
                ENTRIES,
                "entries in one list",
            ),
        ])?;
        for check in &self.checks {
            is_count([check.client, check.server], "the checks")?;
        }
        let headroom = self.headroom.iter();
        is_amount(
            headroom.flat_map(|room| [room.null_p50_us, room.null_p99_us, room.null_per_second]),
            "the headroom",
        )?;
        for link in &self.links {
            let [mbit, rest @ ..] = [
                link.measured_mbit.unwrap_or(0.0),
                link.bare_rtt_us,
                link.median_rtt_us,
                link.p95_rtt_us,
            ];
            is_amount(rest.into_iter().chain([mbit]), "the links")?;
        }
        self.cases.iter().try_for_each(CaseResult::check_bounds)
    }
}

impl CaseResult {
    fn check_bounds(&self) -> Result<(), String> {
        if self.rounds.len() > BLOCKS.0 {
            return Err(format!("{} rounds in one case", self.rounds.len()));
        }
        if let Load::Open { per_second, .. } = self.case.load {
            is_amount([per_second], "the rate of one case")?;
        }
        for block in &self.blocks {
            let whose = format!("one block of target {}", block.target);
            is_count(
                block.counts().chain(block.server_rss).chain(block.began_ms),
                &whose,
            )?;
            is_count(block.rss_added.map(i64::unsigned_abs), &whose)?;
            let cpu = block.server_cpu_s.unwrap_or(0.0);
            is_amount([block.elapsed_s, block.generator_cpu_s, cpu], &whose)?;
            let histograms = [Some(&block.latency), block.first.as_ref()]
                .into_iter()
                .chain([block.gap.as_ref(), block.late.as_ref()]);
            for packed in histograms.flatten() {
                packed
                    .histogram()
                    .map_err(|error| format!("a damaged histogram in {whose}: {error}"))?;
            }
        }
        Ok(())
    }
}

fn is_within<const N: usize>(counts: [(usize, usize, &str); N]) -> Result<(), String> {
    match counts.into_iter().find(|(count, most, _)| count > most) {
        Some((count, most, what)) => Err(format!("{count} {what}, where {most} are read at most")),
        None => Ok(()),
    }
}

fn is_count(counts: impl IntoIterator<Item = u64>, whose: &str) -> Result<(), String> {
    match counts.into_iter().find(|count| *count > LARGEST) {
        Some(count) => Err(format!("a damaged count: {count} in {whose}")),
        None => Ok(()),
    }
}

fn is_amount(amounts: impl IntoIterator<Item = f64>, whose: &str) -> Result<(), String> {
    match amounts
        .into_iter()
        .find(|amount| !(0.0..=LONGEST).contains(amount))
    {
        Some(amount) => Err(format!("a damaged figure: {amount:e} in {whose}")),
        None => Ok(()),
    }
}
