//! `check`: every scenario of a plan against itself, several times, and how many intervals leave out zero.

use std::sync::atomic::Ordering;

use super::interrupt::{INTERRUPTED, on_interrupt};
use super::provenance::command_line;
use super::setup::Setup;
use super::terminal::{conclude, print, say};
use super::{output, overrides, runtime};
use crate::cli::{Check, Common};
use crate::error::{Error, Result};
use crate::plan::{self, Role, Speaks, arrivals};
use crate::report::agreement;
use crate::results::tally::Tally;
use crate::results::{Results, file};
use crate::run::progress::Progress;
use crate::run::target::Resolved;
use crate::run::{Run, Shard, Stop};

pub(super) fn run(arguments: &Check) -> Result<u8> {
    refuse_unused(&arguments.common)?;
    let mut plan = plan::load(&arguments.plan)?;
    overrides::apply(&mut plan, &arguments.overrides)?;
    arrivals::check(&plan, 1)?;
    let common = &arguments.common;
    let out = output::folder(&common.output, "check.md")?;
    let setup = Setup::of(&plan, common)?;
    let mut tally = Tally::default();
    let (outcome, stopped) = runtime::run(async {
        let mut interrupts = on_interrupt(&plan);
        let prepared = async {
            let (servers, targets) = setup.targets(&plan).await?;
            let targets = twins(&targets);
            for target in &targets {
                target.probe_handshake().await?;
            }
            Ok((servers, targets))
        };
        // The servers are held until the last run has ended.
        let Some((_servers, targets)) = interrupts.before(prepared).await? else {
            return Ok((Ok(()), true));
        };
        let stop = Stop::clone(&interrupts.stop);
        let seed = common.seed.unwrap_or(1);
        let outcome = tokio::select! {
            outcome = repeat(arguments, &plan, &targets, seed, &stop, &mut tally) => outcome,
            () = interrupts.at_once() => Ok(()),
        };
        Ok::<_, Error>((outcome, stop.load(Ordering::Relaxed)))
    })?;
    if tally.runs == 0 && (stopped || outcome.is_err()) {
        return outcome.map(|()| INTERRUPTED);
    }
    let text = agreement::markdown(&tally, &command_line().join(" "));
    // Printed first: a disk that is full must not lose what was measured, nor an error of a later run.
    let printed = print(&text);
    file::write(&out.join("check.md"), text.as_bytes())?;
    outcome?;
    if stopped {
        return Ok(INTERRUPTED);
    }
    let why = match tally.total().percent() {
        Some(share) if share <= arguments.at_most => return conclude(printed, 0),
        Some(share) => format!(
            "{share:.1} % of the intervals leave out zero, --at-most is {}",
            arguments.at_most
        ),
        None => format!("no interval to check: {}", agreement::NOTHING),
    };
    say(&format!("hybridge-loadtest: {why}"));
    conclude(printed, 1)
}

/// Flags of a run that `check` has no use for: a user who gave one expects something of it.
fn refuse_unused(common: &Common) -> Result<()> {
    for (given, flag, why) in [
        (common.shard != "1/1", "--shard", "its runs are not divided"),
        (
            common.start_at.is_some(),
            "--start-at",
            "its runs are not divided",
        ),
        (
            !common.note.is_empty(),
            "--note",
            "it keeps no results.json",
        ),
        (
            common.unsafe_check_signatures_every != 1,
            "--unsafe-check-signatures-every",
            "it measures the method, with every signature checked",
        ),
    ] {
        if given {
            return Err(Error::Usage(format!(
                "{flag} is of no use to `check`: {why}; leave it out"
            )));
        }
    }
    Ok(())
}

/// Runs the plan as often as asked, each time with another order of blocks.
async fn repeat(
    arguments: &Check,
    plan: &plan::Plan,
    targets: &[Resolved],
    seed: u64,
    stop: &Stop,
    tally: &mut Tally,
) -> Result<()> {
    for round in 0..arguments.runs {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let mut results = Results::of(targets.iter().map(|target| target.plan.clone()).collect());
        let mut run = Run {
            plan: plan.clone(),
            targets: targets.to_vec(),
            seed: seed.wrapping_add(u64::from(round)),
            shard: Shard { index: 1, of: 1 },
            stop: stop.clone(),
            progress: Progress::new(false),
            ceiling: None,
            beside: Vec::new(),
            counted: None,
        };
        let outcome = run.measure(&mut results, |_| Ok(())).await;
        results.hide_secrets();
        tally.note(&results.for_markdown());
        outcome?;
        for speaks in [Speaks::Http, Speaks::Blocks] {
            let names: Vec<_> = targets
                .iter()
                .filter(|target| target.speaks == speaks)
                .map(|target| target.plan.name.as_str())
                .collect();
            if let [a, b] = names[..] {
                let cases: Vec<_> = results
                    .cases
                    .iter()
                    .filter(|case| case.case.scenario.speaks() == speaks)
                    .cloned()
                    .collect();
                tally.add(&cases, a, b);
            }
        }
        if !arguments.common.quiet {
            let total = tally.total();
            say(&format!(
                "run {} of {}: {} of {} intervals leave out zero so far",
                round + 1,
                arguments.runs,
                total.leave_out_zero,
                total.intervals
            ));
        }
    }
    Ok(())
}

/// Two targets that are one server, for each protocol: a pair with the same group is taken at its word, else the first
/// subject stands on both sides.
fn twins(targets: &[Resolved]) -> Vec<Resolved> {
    let mut pairs = Vec::new();
    for speaks in [Speaks::Http, Speaks::Blocks] {
        let mine: Vec<_> = targets
            .iter()
            .filter(|target| target.speaks == speaks)
            .collect();
        if let [a, b] = mine[..]
            && a.plan.groups == b.plan.groups
        {
            pairs.extend([a.clone(), b.clone()]);
            continue;
        }
        let subject = mine.iter().find(|target| target.plan.role == Role::Subject);
        if let Some(subject) = subject {
            pairs.extend([
                subject.renamed(format!("{} A", subject.plan.name), Role::Subject),
                subject.renamed(format!("{} B", subject.plan.name), Role::Baseline),
            ]);
        }
    }
    pairs
}
