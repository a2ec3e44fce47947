//! `compare` and `run`: from flags to a plan, from a plan to three files, whatever happens in between.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

use super::provenance::provenance;
use super::{INTERRUPTED, create, listen, narrow, print, runtime, say, write_report};
use crate::cli::{Common, Compare, Pin, RunPlan};
use crate::error::{Error, Result};
use crate::headroom;
use crate::net::timer;
use crate::observe::machine;
use crate::plan::{Plan, Role, Scenario, Speaks, Target, file as plan_file};
use crate::report;
use crate::results::{Results, SCHEMA, file};
use crate::run::awake::Awake;
use crate::run::binary;
use crate::run::child::Server;
use crate::run::managed::{self, Cores};
use crate::run::progress::Progress;
use crate::run::target::{Resolved, resolve};
use crate::run::{Run, Shard, Stop};
use crate::{session, stub};

pub(super) fn compare(arguments: &Compare) -> Result<u8> {
    let mut plan = plan_file::load(if arguments.quick { "quick" } else { "full" })?;
    narrow::apply(&mut plan, &arguments.narrow)?;
    plan.targets = external_targets(arguments);
    measure(
        plan,
        &arguments.common,
        None,
        Some((arguments.group, arguments.classical_group)),
    )
}

pub(super) fn run_plan(arguments: &RunPlan) -> Result<u8> {
    let mut plan = plan_file::load(&arguments.plan)?;
    narrow::apply(&mut plan, &arguments.narrow)?;
    measure(plan, &arguments.common, arguments.backend.as_deref(), None)
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

fn measure(plan: Plan, common: &Common, backend: Option<&str>, groups: Groups) -> Result<u8> {
    let shard = parse_shard(&common.shard, common.job_index)?;
    create(&common.out)?;
    let limit = machine::raise_open_files();
    check_files(&plan, limit)?;
    let own_servers = plan.targets.is_empty();
    let cores = Cores::split(own_servers && common.pin == Pin::Split);
    let program = own_servers
        .then(|| binary::find(common.hybridge.as_deref()))
        .transpose()?;
    if !cores.generator.is_empty() {
        machine::pin(&cores.generator).map_err(|source| Error::System {
            what: "binding to a core",
            source,
        })?;
    }
    let _awake = attend(common)?;
    let seed = common.seed.unwrap_or_else(|| {
        if shard.of > 1 {
            SHARED_SEED
        } else {
            drawn_seed()
        }
    });
    runtime()?.block_on(async {
        let (stop, at_once) = on_interrupt();
        if let Some(address) = backend {
            tokio::spawn(stub::serve(listen(address).await?));
        }
        let (servers, mut targets) = match &program {
            Some(program) => start_servers(&plan, program, &cores).await?,
            None => (
                Vec::new(),
                plan.targets
                    .iter()
                    .map(resolve)
                    .collect::<Result<Vec<_>>>()?,
            ),
        };
        if let (Some(groups), true) = (groups, own_servers) {
            choose_groups(&mut targets, groups);
        }
        let every = common.unsafe_check_signatures_every;
        for target in &targets {
            target.greet().await?;
            if let Some(tls) = &target.endpoint.tls {
                tls.trust.check_signatures_every(every);
            }
        }
        let provenance = provenance(&plan, common, (seed, shard), &cores, &targets).await;
        let headroom = headroom::measure().await?;
        let mut results = Results {
            schema: SCHEMA.to_owned(),
            provenance,
            targets: targets.iter().map(|target| target.plan.clone()).collect(),
            headroom: Some(headroom),
            links: Vec::new(),
            cases: Vec::new(),
            checks: Vec::new(),
            warnings: unchecked(every),
        };
        wait_for(common.start_at).await;
        let mut run = Run {
            plan,
            targets,
            seed,
            shard,
            stop,
            progress: Progress::new(!common.quiet),
        };
        let path = common.out.join("results.json");
        let mut save = |results: &Results| file::save(&path, results);
        let outcome = tokio::select! {
            outcome = run.measure(&mut results, &mut save) => outcome,
            Ok(()) = at_once => Ok(()),
        };
        results.provenance.interrupted = run.stop.load(Ordering::Relaxed);
        drop(servers);
        finish(&common.out, results, outcome)
    })
}

/// Sees to it that cores and generator are not asleep when something is due, as far as that was asked for.
fn attend(common: &Common) -> Result<Option<Awake>> {
    if common.spin {
        timer::spin();
    }
    common.keep_awake.then(Awake::keep).transpose()
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
fn finish(out: &Path, mut results: Results, outcome: Result<()>) -> Result<u8> {
    if let Err(error) = &outcome {
        results
            .warnings
            .insert(0, format!("The run ended early: {error}"));
    }
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
    let written =
        file::save(&out.join("results.json"), &results).and_then(|()| write_report(out, &results));
    if let Err(error) = written {
        // The last resort when the disk is full: the reader may still be able to keep it.
        say(&format!(
            "hybridge-loadtest: {error}; the results follow on standard output"
        ));
        print(&String::from_utf8_lossy(&file::to_json(&results)?))?;
        return Err(outcome.err().unwrap_or(error));
    }
    print(&format!("{}\n", report::summary::paragraph(&results)))?;
    say(&format!(
        "wrote results.json, report.md and report.html in {}",
        out.display()
    ));
    outcome?;
    Ok(if results.provenance.interrupted {
        INTERRUPTED
    } else {
        0
    })
}

/// The flag the first Ctrl-C sets, and the word of the second.
fn on_interrupt() -> (Stop, oneshot::Receiver<()>) {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let (again, at_once) = oneshot::channel();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            flag.store(true, Ordering::Relaxed);
            say("\nstopping after this block; what was measured is kept (again to stop at once)");
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            // A run that has just ended needs no word.
            again.send(()).ok();
        }
    });
    (stop, at_once)
}

async fn start_servers(
    plan: &Plan,
    binary: &Path,
    cores: &Cores,
) -> Result<(Vec<Server>, Vec<Resolved>)> {
    let needs = |speaks| {
        plan.cases
            .iter()
            .any(|case| case.scenario.speaks() == speaks)
    };
    let (mut servers, mut targets) = (Vec::new(), Vec::new());
    if needs(Speaks::Http) {
        let (server, mut started) = managed::demo(binary, cores).await?;
        servers.push(server);
        targets.append(&mut started);
    }
    if needs(Speaks::Blocks) {
        let cannot = |source| Error::System {
            what: "the far end of raw TCP could not listen",
            source,
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(cannot)?;
        let upstream = listener.local_addr().map_err(cannot)?.port();
        tokio::spawn(session::serve_blocks(listener));
        let (server, mut started) = managed::tcp(binary, cores, upstream).await?;
        servers.push(server);
        targets.append(&mut started);
    }
    Ok((servers, targets))
}

/// Puts the groups of the command line into targets the tool made itself.
fn choose_groups(
    targets: &mut [Resolved],
    (hybrid, classical): (crate::tls::Group, crate::tls::Group),
) {
    for target in targets {
        let groups = match target.plan.role {
            Role::Subject => vec![hybrid, classical],
            Role::Baseline => vec![classical],
        };
        target.offer(groups);
    }
}

fn parse_shard(text: &str, job_index: Option<u32>) -> Result<Shard> {
    let wrong = || {
        Error::Usage(format!(
            "--shard \"{text}\" is not I/N with 1 <= I <= N, such as 2/4"
        ))
    };
    let (index, of) = text.split_once('/').ok_or_else(wrong)?;
    let index =
        match (index, job_index) {
            ("job", Some(index)) => index + 1,
            ("job", None) => return Err(Error::Usage(
                "--shard job/N needs JOB_COMPLETION_INDEX, which the pods of an indexed Job have"
                    .into(),
            )),
            (index, _) => index.parse().map_err(|_| wrong())?,
        };
    let of = of.parse().map_err(|_| wrong())?;
    if index == 0 || index > of {
        Err(wrong())
    } else {
        Ok(Shard { index, of })
    }
}

async fn wait_for(start_at: Option<u64>) {
    let Some(start) = start_at else { return };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    tokio::time::sleep(Duration::from_secs(start).saturating_sub(now)).await;
}

/// The connections of the largest case must fit, three times where a relay is between; idle ones are held for all
/// targets and rounds.
fn check_files(plan: &Plan, limit: u64) -> Result<()> {
    let of_targets = plan.targets.iter().filter_map(|target| target.connections);
    let own = of_targets.max().unwrap_or(0);
    let largest = plan
        .cases
        .iter()
        .map(|case| {
            let connections = u64::from(case.load.connections().max(own));
            if case.scenario == Scenario::Idle {
                let targets = plan.targets.len().max(2) as u64;
                return (connections * u64::from(case.rounds) + 10) * targets;
            }
            connections * if case.link.is_direct() { 1 } else { 3 }
        })
        .max();
    let needed = largest.unwrap_or(0) + 256;
    if needed > limit {
        return Err(Error::Usage(format!(
            "the plan needs {needed} open files, the limit is {limit}; raise it with `ulimit -n {needed}` or use fewer --connections"
        )));
    }
    Ok(())
}
