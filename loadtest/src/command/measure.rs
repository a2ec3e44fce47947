//! `compare` and `run`: from flags to a plan, from a plan to three files, whatever happens in between.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use super::interrupt::{INTERRUPTED, on_interrupt};
use super::limits::check_limits;
use super::provenance::{notes, provenance};
use super::rendering::write_report;
use super::runtime::{self, listen};
use super::setup::{Setup, choose_groups, parse_shard};
use super::terminal::{conclude, print, say};
use super::{output, overrides, start};
use crate::cli::{Common, Compare, RunPlan};
use crate::error::{Error, Result};
use crate::plan::uses::unfit;
use crate::plan::{self, Plan, Role, Target, arrivals};
use crate::report;
use crate::report::limit::Limit;
use crate::results::{Results, file};
use crate::run::ceiling::Ceiling;
use crate::run::counted::Counted;
use crate::run::progress::Progress;
use crate::run::target::{Resolved, pid_in};
use crate::run::{Run, Stop, capability};
use crate::stub;

pub(super) fn compare(arguments: &Compare) -> Result<u8> {
    let mut plan = plan::load(if arguments.quick { "quick" } else { "full" })?;
    overrides::apply(&mut plan, &arguments.overrides)?;
    plan.targets = external_targets(arguments);
    if let Some(target) = plan.targets.iter().find(|target| !target.has_tls()) {
        return Err(Error::Usage(format!(
            "--{} is at http://, without TLS: there is no key exchange to compare; write https://, or a plan for `run`",
            target.name
        )));
    }
    measure(
        plan,
        &arguments.common,
        &arguments.limits.fail_if,
        None,
        Some((arguments.group, arguments.classical_group)),
    )
}

pub(super) fn run_plan(arguments: &RunPlan) -> Result<u8> {
    let mut plan = plan::load(&arguments.plan)?;
    overrides::apply(&mut plan, &arguments.overrides)?;
    measure(
        plan,
        &arguments.common,
        &arguments.limits.fail_if,
        arguments.backend.as_deref(),
        None,
    )
}

/// The targets named by flags; none means that the tool starts its own.
fn external_targets(arguments: &Compare) -> Vec<Target> {
    let Some(hybrid) = &arguments.hybrid else {
        return Vec::new();
    };
    let both = arguments.classical.is_none();
    let target = |name: &str, url: &str, role, groups| Target {
        ca: arguments.ca.clone(),
        server_name: arguments.server_name.clone(),
        pid: arguments.pid,
        metrics: arguments.metrics.clone(),
        ..Target::new(name, url.trim_end_matches('/').to_owned(), role, groups)
    };
    let classical = if both {
        hybrid
    } else {
        arguments.classical.as_ref().unwrap_or(hybrid)
    };
    vec![
        target(
            "hybrid",
            hybrid,
            Role::Subject,
            vec![arguments.group, arguments.classical_group],
        ),
        target(
            "classical",
            classical,
            Role::Baseline,
            vec![arguments.classical_group],
        ),
    ]
}

/// Shards that are not told a seed must still order their blocks alike, or they could not be merged.
const SHARED_SEED: u64 = 1;

fn drawn_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(SHARED_SEED, |now| now.as_nanos() as u64 % 1_000_000_007)
}

type Groups = Option<(crate::tls::Group, crate::tls::Group)>;

fn measure(
    mut plan: Plan,
    common: &Common,
    limits: &[Limit],
    backend: Option<&str>,
    groups: Groups,
) -> Result<u8> {
    let shard = parse_shard(&common.shard, common.job_index)?;
    arrivals::check(&plan, shard.of)?;
    // Refused now, waited for when all is ready.
    start::until(common.start_at)?;
    let notes = notes(common)?;
    Results::check_planned(&plan, notes.clone()).map_err(|why| {
        Error::Usage(format!(
            "the results of this plan and its notes could not be read again: {why}; use fewer or shorter ones"
        ))
    })?;
    let out = output::folder(&common.output, "results.json")?;
    let own_servers = plan.targets.is_empty();
    let setup = Setup::of(&plan, common)?;
    let seed = common.seed.unwrap_or_else(|| {
        if shard.of > 1 {
            SHARED_SEED
        } else {
            drawn_seed()
        }
    });
    runtime::run(async {
        let mut interrupts = on_interrupt(&plan);
        let prepared = async {
            if let Some(address) = backend {
                tokio::spawn(stub::serve(listen(address).await?));
            }
            let (servers, mut targets) = setup.targets(&plan).await?;
            if let (Some(groups), true) = (groups, own_servers) {
                choose_groups(&mut targets, groups);
            }
            let counted = match shard.of {
                1 => None,
                _ => Some(Counted::begin(&targets).await),
            };
            let (mut warnings, mut skipped) = (look(&targets, common).await?, Vec::new());
            if !own_servers {
                warnings.extend(capability::look(&mut targets, &plan.cases).await);
                skipped = leave_out(&mut plan, &targets);
            }
            let provenance =
                provenance(&plan, common, notes, (seed, shard), &setup.cores, &targets).await;
            let mut ceiling = Ceiling::start().await?;
            let mut results =
                Results::of(targets.iter().map(|target| target.plan.clone()).collect());
            results.provenance = provenance;
            results.headroom = Some(ceiling.headroom().await?);
            results.warnings = warnings;
            results.skipped = skipped;
            start::wait_for(common.start_at).await?;
            Ok((servers, targets, ceiling, counted, results))
        };
        let Some((servers, targets, ceiling, counted, mut results)) =
            Box::pin(interrupts.before(prepared)).await?
        else {
            return Ok(INTERRUPTED);
        };
        let beside = beside(&plan)?;
        let mut run = Run {
            plan,
            targets,
            seed,
            shard,
            stop: Stop::clone(&interrupts.stop),
            progress: Progress::new(!common.quiet),
            ceiling: Some(ceiling),
            beside,
            counted,
        };
        let path = out.join("results.json");
        let mut save = |results: &Results| file::save(&path, results);
        let outcome = tokio::select! {
            outcome = run.measure(&mut results, &mut save) => outcome,
            () = interrupts.at_once() => Ok(()),
        };
        results.provenance.interrupted = run.stop.load(Ordering::Relaxed);
        drop(servers);
        finish(&out, results, limits, outcome)
    })
}

/// One handshake with each target; what a reader must know of how they are verified.
async fn look(targets: &[Resolved], common: &Common) -> Result<Vec<String>> {
    let every = common.unsafe_check_signatures_every;
    for target in targets {
        target.probe_handshake().await?;
        if let Some(tls) = &target.endpoint.tls {
            tls.trust.check_signatures_every(every);
        }
    }
    Ok(unchecked(every))
}

/// Takes the cases out of the plan that some target cannot serve; why, for each.
fn leave_out(plan: &mut Plan, targets: &[Resolved]) -> Vec<String> {
    let mut skipped = Vec::new();
    plan.cases.retain(|case| {
        let speaks = case.scenario.speaks();
        let mut able = targets.iter().filter(|target| target.speaks == speaks);
        let why = unfit(case, targets.iter().map(|target| &target.plan))
            .map(|why| format!("{}: {why}", case.title()))
            .or_else(|| able.find_map(|target| capability::missing(target, case)));
        let runs = why.is_none();
        skipped.extend(why);
        runs
    });
    for why in &skipped {
        say(&format!("left out: {why}"));
    }
    skipped
}

/// What a reader of handshake latencies must know.
fn unchecked(every: u64) -> Vec<String> {
    let words = format!(
        "The client checked the server's signature on one handshake in {every}: its latencies lack that work, figures of \
         the server are not affected."
    );
    if every > 1 { vec![words] } else { Vec::new() }
}

/// Writes what there is, then tells how it ended.
fn finish(out: &Path, mut results: Results, limits: &[Limit], outcome: Result<()>) -> Result<u8> {
    if let Err(error) = &outcome
        && !matches!(error, Error::Incomplete(_))
    {
        results
            .warnings
            .insert(0, format!("The run ended early: {error}"));
    }
    results.provenance.incomplete = outcome.is_err();
    results.hide_secrets();
    if results.cases.is_empty() {
        outcome?;
        if results.provenance.interrupted {
            say("interrupted before the first case was measured: nothing to keep");
            return Ok(INTERRUPTED);
        }
        return Err(Error::Usage(
            "no target of the plan speaks what its cases need; nothing was measured".into(),
        ));
    }
    let shown = results.reportable();
    let written =
        file::save(&out.join("results.json"), &results).and_then(|()| write_report(out, &shown));
    if let Err(error) = written {
        // The last resort when the disk is full: the reader may still be able to keep it.
        say(&format!(
            "hybridge-loadtest: {error}; the results follow on standard output"
        ));
        if let Err(unprinted) = print(&String::from_utf8_lossy(&file::to_json(&results)?)) {
            say(&format!("hybridge-loadtest: {unprinted}"));
        }
        return Err(outcome.err().unwrap_or(error));
    }
    let printed = print(&format!("{}\n", report::text(&shown)));
    say(&format!(
        "wrote results.json, report.md, report.html and figures.csv in {}",
        out.display()
    ));
    outcome?;
    if results.provenance.interrupted {
        return Ok(INTERRUPTED);
    }
    let code = check_limits(limits, &shown, None)?;
    conclude(printed, code)
}

/// Processes of a plan whose CPU time is the run's own.
fn beside(plan: &Plan) -> Result<Vec<u32>> {
    plan.beside
        .iter()
        .map(|path| pid_in(path, "beside"))
        .collect()
}
