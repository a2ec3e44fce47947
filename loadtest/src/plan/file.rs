//! The TOML form of a plan. Unknown keys are errors; a list of link or load
//! values makes one case for each combination.

use std::path::PathBuf;

use hybridge_redact::scrub;

use super::syntax::{CaseFile, File, TargetFile};
use super::uses::{self, Key};
use super::{Case, Load, Plan, Role, Target};
use crate::error::{Error, Result};
use crate::net::link::{Link, parse_duration, parse_size};
use crate::tls::Group;

/// Parses and expands a plan; `name` is for messages.
pub fn parse(name: &str, text: &str) -> Result<Plan> {
    let fail = |message: String| Error::Plan {
        name: name.to_owned(),
        message,
    };
    let file: File = toml::from_str(text).map_err(|error| fail(syntax(text, &error)))?;
    let targets = file
        .target
        .iter()
        .map(target)
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(fail)?;
    let mut cases = Vec::new();
    for case in &file.case {
        cases.extend(
            expand(&file, case)
                .map_err(|message| fail(format!("case {}: {message}", case.scenario.title())))?,
        );
    }
    if cases.is_empty() {
        return Err(fail("has no [[case]]; nothing would be measured".into()));
    }
    let plan = Plan {
        name: file.name,
        text: text.to_owned(),
        targets,
        beside: file.beside,
        cases,
    };
    check(&plan).map_err(fail)?;
    Ok(plan)
}

/// What the reader of TOML says, with the line; not the line itself, where a key may stand.
fn syntax(text: &str, error: &toml::de::Error) -> String {
    let message = scrub(error.message()).replace('\n', ", ");
    let start = error.span().map_or(0, |span| span.start);
    let before = text.get(..start).unwrap_or_default();
    format!("line {}: {message}", before.matches('\n').count() + 1)
}

fn target(file: &TargetFile) -> std::result::Result<Target, String> {
    refuse_empty(file)?;
    uses::refuse_of_target(file)?;
    let groups = match (&file.groups, file.role) {
        (Some(groups), _) if groups.is_empty() => {
            return Err(format!("target {}: groups is empty", file.name));
        }
        (Some(groups), _) => groups.clone(),
        _ if uses::is_plaintext(&file.url) => Vec::new(),
        (None, Role::Subject) => vec![Group::X25519MLKEM768, Group::X25519],
        (None, Role::Baseline) => vec![Group::X25519],
    };
    if let Some(expect) = file.expect.filter(|expect| !groups.contains(expect)) {
        return Err(format!(
            "target {}: expects {expect}, which its groups do not offer",
            file.name
        ));
    }
    if file.client_cert.is_some() != file.client_key.is_some() {
        return Err(format!(
            "target {}: client_cert and client_key belong together; write both, or neither",
            file.name
        ));
    }
    if let Some(count) = file.connections {
        check_connections(&[count])
            .map_err(|message| format!("target {}: {message}", file.name))?;
    }
    let target = Target::new(&file.name, file.url.clone(), file.role, groups);
    Ok(Target {
        expect: file.expect.unwrap_or(target.expect),
        connections: file.connections,
        ca: file.ca.clone(),
        server_name: file.server_name.clone(),
        client_cert: file.client_cert.clone(),
        client_key: file.client_key.clone(),
        pid: file.pid,
        pid_file: file.pid_file.clone(),
        metrics: file.metrics.clone(),
        listener: file.listener.clone(),
        ..target
    })
}

/// An empty text is a key that somebody meant to fill in; left out it would have its default.
fn refuse_empty(file: &TargetFile) -> std::result::Result<(), String> {
    let path = |path: &Option<PathBuf>| {
        path.as_ref()
            .is_some_and(|path| path.as_os_str().is_empty())
    };
    let text = |text: &Option<String>| text.as_ref().is_some_and(String::is_empty);
    let remedy = match file {
        file if file.name.is_empty() => "name is empty; write what the report calls it",
        file if file.url.is_empty() => "url is empty; write such as https://127.0.0.1:8443",
        file if path(&file.ca) => {
            "ca is empty; write the path of a PEM file with the CA, or leave it out for the system's bundle"
        }
        file if path(&file.client_cert) => {
            "client_cert is empty; write the path of a PEM file with the chain, or leave it out"
        }
        file if path(&file.client_key) => {
            "client_key is empty; write the path of a PEM file with the key, or leave it out"
        }
        file if path(&file.pid_file) => "pid_file is empty; write a path, or leave it out",
        file if text(&file.server_name) => {
            "server_name is empty; write the name in the certificate, or leave it out for the URL's host"
        }
        file if text(&file.metrics) => "metrics is empty; write a URL, or leave it out",
        file if text(&file.listener) => {
            "listener is empty; write a listener's name, or leave it out"
        }
        _ => return Ok(()),
    };
    Err(format!("target {}: {remedy}", file.name))
}

fn expand(file: &File, case: &CaseFile) -> std::result::Result<Vec<Case>, String> {
    uses::refuse_of_case(case)?;
    let defaults = case.scenario.defaults();
    let connections = connections(file, case)?;
    check_rates(case.rate.as_deref().unwrap_or_default())?;
    if case.rate.as_ref().is_some_and(Vec::is_empty) {
        return Err("rate is empty; write at least one, or leave it out".into());
    }
    let loads = Load::combinations(case.rate.as_deref().unwrap_or_default(), &connections);
    let size = |text: &Option<String>, default| text.as_deref().map_or(Ok(default), parse_size);
    let time =
        |text: &Option<String>, default: &str| parse_duration(text.as_deref().unwrap_or(default));
    let mut base = Case {
        scenario: case.scenario,
        link: Link::default(),
        load: *loads.first().ok_or(NO_CONNECTIONS)?,
        streams: streams(case)?,
        up: size(&case.up, defaults.up)?,
        down: size(&case.down, defaults.down)?,
        tokens: case.tokens.unwrap_or(defaults.tokens),
        token_interval_us: match &case.token_interval {
            None => defaults.token_interval_us,
            Some(text) => parse_duration(text)?.as_micros() as u64,
        },
        rounds: case.rounds.unwrap_or(file.rounds),
        block_ms: time(&case.block, &file.block)?.as_millis() as u64,
        warmup_ms: time(&case.warmup, &file.warmup)?.as_millis() as u64,
    };
    if case.down.is_some() && base.down > 0 && !base.uses(Key::Down) {
        return Err(
            "up and down are set: a request sends or fetches; remove one of the two".into(),
        );
    }
    base.settle_down();
    let mut cases = Vec::new();
    for link in links(case)? {
        cases.extend(loads.iter().map(|load| Case {
            link,
            load: *load,
            ..base.clone()
        }));
    }
    Ok(cases)
}

/// How many connections the case is run with; one, which its title leaves out, where each target says it itself.
fn connections(file: &File, case: &CaseFile) -> std::result::Result<Vec<u32>, String> {
    let targets_say = file
        .target
        .iter()
        .any(|target| target.connections.is_some());
    match &case.connections {
        Some(_) if targets_say => {
            Err("connections are set at a target and at the case; remove one of the two".into())
        }
        Some(counts) => check_connections(counts).map(|()| counts.clone()),
        None if targets_say
            && file
                .target
                .iter()
                .any(|target| target.connections.is_none()) =>
        {
            Err("connections are set at one target; set them at every target".into())
        }
        None if targets_say => Ok(vec![1]),
        None => Ok(vec![case.scenario.defaults().connections]),
    }
}

/// More arrivals a second than a generator makes.
const MAX_RATE: f64 = 1e6;

/// Refuses what is no number of arrivals a second.
pub fn check_rates(rates: &[f64]) -> std::result::Result<(), String> {
    if rates.iter().all(|rate| (0.001..=MAX_RATE).contains(rate)) {
        return Ok(());
    }
    Err(format!("rate must be 0.001 to {MAX_RATE} a second"))
}

const NO_CONNECTIONS: &str = "connections is empty; write at least one number, or leave it out";

fn check_connections(counts: &[u32]) -> std::result::Result<(), String> {
    if counts.is_empty() {
        return Err(NO_CONNECTIONS.into());
    }
    if counts.iter().all(|count| (1..=10_000).contains(count)) {
        Ok(())
    } else {
        Err("connections must be 1 to 10000".into())
    }
}

fn streams(case: &CaseFile) -> std::result::Result<u32, String> {
    match case.streams {
        None => Ok(1),
        Some(streams) if (1..=1000).contains(&streams) => Ok(streams),
        Some(_) => Err("streams must be 1 to 1000".into()),
    }
}

fn links(case: &CaseFile) -> std::result::Result<Vec<Link>, String> {
    for (name, values) in [("rtt", &case.rtt), ("bandwidth", &case.bandwidth)] {
        if values.as_ref().is_some_and(Vec::is_empty) {
            return Err(format!(
                "{name} is empty; write at least one value, or leave it out"
            ));
        }
    }
    Link::combinations(
        case.rtt.as_deref().unwrap_or_default(),
        case.bandwidth.as_deref().unwrap_or_default(),
    )
}

/// Refuses a plan in which there would be nothing to compare, or two things of one name.
pub fn check(plan: &Plan) -> std::result::Result<(), String> {
    if let Some(case) = plan.cases.iter().find(|case| case.rounds < 2) {
        return Err(format!(
            "{}: rounds must be at least 2, or there is no spread to measure",
            case.title()
        ));
    }
    let mut titles: Vec<_> = plan.cases.iter().map(Case::title).collect();
    titles.sort();
    if let Some([title, _]) = titles.array_windows().find(|[a, b]| a == b) {
        return Err(format!("two cases are the same: {title}"));
    }
    for needed in [Role::Subject, Role::Baseline] {
        if !plan.targets.is_empty() && !plan.targets.iter().any(|target| target.role == needed) {
            return Err(format!(
                "names targets, but no {needed}; there would be no pairs"
            ));
        }
    }
    plan.cases.iter().try_for_each(Case::refuse_empty)?;
    let unfit = |case: &Case| {
        let why = uses::unfit(case, plan.targets.iter())?;
        Some(format!("{}: {why}; leave the case out", case.title()))
    };
    match plan.cases.iter().find_map(unfit) {
        Some(why) if !plan.targets.is_empty() => Err(why),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
