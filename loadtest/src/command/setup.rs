//! What a measurement needs before its first block: open files, cores, servers of the tool's own or resolved targets.

use std::path::Path;

use crate::cli::{Common, Pin};
use crate::error::{Error, Result};
use crate::net::timer;
use crate::observe::machine;
use crate::plan::{Plan, Role, Scenario, Speaks};
use crate::run::awake::Awake;
use crate::run::child::Server;
use crate::run::cores::Cores;
use crate::run::target::{Resolved, resolve};
use crate::run::{Shard, binary, managed};
use crate::session;

/// What is arranged before the runtime starts, because threads inherit it.
pub(super) struct Setup {
    pub(super) cores: Cores,
    program: Option<std::path::PathBuf>,
    /// Those of the plan: looked up while a signal still ends the program at once.
    resolved: Vec<Resolved>,
    _awake: Option<Awake>,
}

impl Setup {
    pub(super) fn of(plan: &Plan, common: &Common) -> Result<Self> {
        let limit = machine::raise_open_files();
        check_files(plan, limit)?;
        let own_servers = plan.targets.is_empty();
        if let (false, Some(program)) = (own_servers, &common.hybridge) {
            return Err(Error::Usage(format!(
                "--hybridge {}: the targets are servers that run already; leave it out, or the targets",
                program.display()
            )));
        }
        let cores = Cores::split(own_servers && common.pin == Pin::Split);
        let program = own_servers
            .then(|| binary::find(common.hybridge.as_deref()))
            .transpose()?;
        if !cores.generator.is_empty() {
            machine::pin(&cores.generator).map_err(Error::system("binding to a core"))?;
        }
        let resolved = plan.targets.iter().map(resolve).collect::<Result<_>>()?;
        Ok(Self {
            cores,
            program,
            resolved,
            _awake: apply_timing_flags(common)?,
        })
    }

    /// The servers that live as long as they are held, and every target ready to be dialled.
    pub(super) async fn targets(&self, plan: &Plan) -> Result<(Vec<Server>, Vec<Resolved>)> {
        match &self.program {
            Some(program) => start_servers(plan, program, &self.cores).await,
            None => Ok((Vec::new(), self.resolved.clone())),
        }
    }
}

/// Sees to it that cores and generator are not asleep when something is due, as far as that was asked for.
fn apply_timing_flags(common: &Common) -> Result<Option<Awake>> {
    if common.spin {
        timer::spin();
    }
    common.keep_awake.then(Awake::keep).transpose()
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
        let cannot = Error::system("the far end of raw TCP could not listen");
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
pub(super) fn choose_groups(
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

pub(super) fn parse_shard(text: &str, job_index: Option<u32>) -> Result<Shard> {
    let wrong = || {
        Error::Usage(format!(
            "--shard \"{text}\" is not I/N with 1 <= I <= N, such as 2/4"
        ))
    };
    let (index, of) = text.split_once('/').ok_or_else(wrong)?;
    let index =
        match (index, job_index) {
            ("job", Some(index)) => index.checked_add(1).ok_or_else(wrong)?,
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
