//! What must be known before a figure is trusted: a busy machine first, then the run's own warnings, a debug build, a
//! generator at its limit, errors.

use super::numbers::plural;
use crate::plan::Target;
use crate::results::Results;
use crate::results::conditions::pressed;
use crate::results::generator::BUSY;

/// A run of which this share of the rounds was under pressure is not to be quoted.
const MOSTLY: f64 = 0.5;

/// What stands above the tables: the run's own warnings, a debug build, a generator at its limit, errors.
pub fn warnings(results: &Results) -> Vec<String> {
    let mut warnings: Vec<String> = busy_machine(results).into_iter().collect();
    warnings.extend(results.warnings.iter().cloned());
    if results.provenance.interrupted {
        warnings.push("The run was interrupted; only what had been measured is here.".into());
    }
    if results.provenance.profile == "debug" {
        warnings.push("Made with a debug build: the figures show that the tool works, not what anything costs.".into());
    }
    let busy = results.cases_at_generators_limit().into_iter();
    let busy: Vec<_> = busy
        .map(|index| results.cases[index].case.title())
        .collect();
    if !busy.is_empty() {
        warnings.push(format!(
            "The generator used more than {:.0} % of its own cores in: {}. Rates and latencies under that load are \
             bounds set by the generator; bytes and server CPU per operation are not affected.",
            BUSY * 100.0,
            busy.join("; ")
        ));
    }
    let blocks = || results.cases.iter().flat_map(|case| &case.blocks);
    let failed: u64 = blocks().map(|block| block.errors).sum();
    if failed > 0 {
        warnings.push(format!(
            "{} failed: left out of the latencies.",
            plural(failed, "operation")
        ));
    }
    let unserved: u64 = blocks().map(|block| block.unserved).sum();
    if unserved > 0 {
        warnings.push(format!(
            "{} due and not served: the rate was too high for the target, or for so few connections; what they had waited \
             is in the latencies.",
            plural(unserved, "operation")
        ));
    }
    warnings.extend(reopened(results));
    if results
        .checks
        .iter()
        .any(|check| check.client != check.server)
    {
        warnings.push(
            "The client's and the server's byte counts disagree; see the table of bytes.".into(),
        );
    }
    warnings
}

/// Connections that servers had announced to end, by target; none where there were none.
fn reopened(results: &Results) -> Option<String> {
    let of = |target: &Target| -> u64 {
        let cases = results.cases.iter();
        let blocks = cases.flat_map(|case| case.blocks_of(&target.name));
        blocks.map(|block| block.reopened).sum()
    };
    let counts: Vec<_> = results.targets.iter().map(of).collect();
    if counts.iter().all(|count| *count == 0) {
        return None;
    }
    let told: Vec<_> = results
        .targets
        .iter()
        .zip(counts)
        .map(|(target, count)| format!("{} {count}", target.name))
        .collect();
    Some(format!(
        "Connections opened again within blocks, because the server had announced the end of those before: {}. Closing, \
         dialling and the handshake are in server CPU and operations per second, in no latency and in no bytes of an operation. What \
         the server sends behind its handshake (session tickets) is in those of the first operation of each connection.",
        told.join(", ")
    ))
}

/// Rounds under pressure, of all; and the words for a run that is mostly so.
fn busy_machine(results: &Results) -> Option<String> {
    let (under, of) = results
        .cases
        .iter()
        .map(|case| pressed(case.rounds.iter()))
        .fold((0, 0), |sum, case| (sum.0 + case.0, sum.1 + case.1));
    let share = under as f64 / of.max(1) as f64;
    if under == 0 {
        return None;
    }
    let told = format!(
        "{under} of {of} rounds were under pressure: other processes or the hypervisor took CPU time, the CPU was \
         throttled, or the generator was slower than it can be"
    );
    Some(if share >= MOSTLY {
        format!("This machine was busy: do not quote these figures. {told}.")
    } else {
        format!("{told}; \"Load on both sides\" shows in which cases.")
    })
}
