//! `check`: every scenario of a plan against itself, several times, and how many intervals leave out zero.

use std::sync::atomic::Ordering;

use super::interrupt::{INTERRUPTED, on_interrupt};
use super::runtime::runtime;
use super::setup::Setup;
use super::terminal::{print, say};
use super::{output, overrides};
use crate::cli::Check;
use crate::error::Result;
use crate::plan::{self, Role, Speaks};
use crate::report::agreement;
use crate::results::tally::Tally;
use crate::results::{Results, file};
use crate::run::progress::Progress;
use crate::run::target::Resolved;
use crate::run::{Run, Shard, Stop};

pub(super) fn run(arguments: &Check) -> Result<u8> {
    let mut plan = plan::load(&arguments.plan)?;
    overrides::apply(&mut plan, &arguments.overrides)?;
    let common = &arguments.common;
    let out = output::folder(&common.output, "check.md")?;
    let setup = Setup::of(&plan, common)?;
    let (tally, stopped) = runtime()?.block_on(async {
        let (stop, at_once) = on_interrupt();
        // Held until the last run has ended.
        let (_servers, targets) = setup.targets(&plan).await?;
        let targets = twins(&targets);
        for target in &targets {
            target.probe_handshake().await?;
        }
        let mut tally = Tally::default();
        let seed = common.seed.unwrap_or(1);
        tokio::select! {
            outcome = repeat(arguments, &plan, &targets, seed, &stop, &mut tally) => outcome?,
            Ok(()) = at_once => {}
        }
        Ok::<_, crate::error::Error>((tally, stop.load(Ordering::Relaxed)))
    })?;
    let command: Vec<String> = std::env::args().skip(1).collect();
    let text = agreement::markdown(&tally, &command.join(" "));
    file::write(&out.join("check.md"), text.as_bytes())?;
    print(&text)?;
    if stopped {
        return Ok(INTERRUPTED);
    }
    let share = tally.total().percent();
    if tally.total().intervals == 0 || share > arguments.at_most {
        say(&format!(
            "hybridge-loadtest: {share:.1} % of the intervals leave out zero, --at-most is {}",
            arguments.at_most
        ));
        return Ok(1);
    }
    Ok(0)
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
        };
        run.measure(&mut results, |_| Ok(())).await?;
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
