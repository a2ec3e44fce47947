//! Flags that replace what a plan says: fewer scenarios, other links, another load.

use crate::cli::Overrides;
use crate::error::{Error, Result};
use crate::net::link::{Link, parse_duration, parse_size};
use crate::plan::file::{check, check_rates};
use crate::plan::uses::Key;
use crate::plan::{Case, Load, Plan, Scenario};

/// The plan with the flags applied; an error where nothing is left.
pub(super) fn apply(plan: &mut Plan, flags: &Overrides) -> Result<()> {
    let wrong = |flag: &str, message: String| Error::Usage(format!("{flag}: {message}"));
    if !flags.scenario.is_empty() {
        let wanted = flags
            .scenario
            .iter()
            .map(|name| Scenario::named(name))
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|message| wrong("--scenario", message))?;
        plan.cases.retain(|case| wanted.contains(&case.scenario));
    }
    if plan.cases.is_empty() {
        return Err(Error::Usage(format!(
            "plan {} has none of the wanted scenarios; nothing to measure",
            plan.name
        )));
    }
    if !flags.rtt.is_empty() || !flags.bandwidth.is_empty() {
        let links = Link::combinations(&flags.rtt, &flags.bandwidth)
            .map_err(|message| wrong("--rtt, --bandwidth", message))?;
        replace(plan, &links, |case, link| case.link = *link);
    }
    let targets_say = plan
        .targets
        .iter()
        .any(|target| target.connections.is_some());
    if targets_say && !flags.connections.is_empty() {
        return Err(wrong(
            "--connections",
            format!(
                "plan {} says the connections of each target; change them there, in a copy of its file",
                plan.name
            ),
        ));
    }
    if !flags.rate.is_empty() {
        check_rates(&flags.rate).map_err(|message| Error::Usage(format!("--{message}")))?;
        refuse_unused(plan, Key::Rate)?;
    }
    if flags
        .connections
        .iter()
        .any(|count| !(1..=10_000).contains(count))
    {
        return Err(wrong("--connections", "must be 1 to 10000".into()));
    }
    let (rates, counts) = (listed(&flags.rate), listed(&flags.connections));
    let with_each = |rate| counts.iter().map(move |count| (rate, *count));
    let loads: Vec<_> = rates.into_iter().flat_map(with_each).collect();
    replace(plan, &loads, |case, (rate, count)| {
        set_load(case, *rate, *count);
    });
    let size = |text: &Option<String>| text.as_deref().map(parse_size).transpose();
    let (up, down) = (
        size(&flags.up).map_err(|message| wrong("--up", message))?,
        size(&flags.down).map_err(|message| wrong("--down", message))?,
    );
    let block = flags
        .block
        .as_deref()
        .map(parse_duration)
        .transpose()
        .map_err(|message| wrong("--block", message))?;
    if flags.rounds.is_some_and(|rounds| rounds < 2) {
        return Err(wrong(
            "--rounds",
            "must be at least 2, or there is no spread to measure".into(),
        ));
    }
    for case in &mut plan.cases {
        case.rounds = flags.rounds.unwrap_or(case.rounds);
    }
    let block_ms = block.map(|block| block.as_millis() as u64);
    put(plan, Key::Up, up, |case, up| case.up = up)?;
    put(plan, Key::Down, down, |case, down| case.down = down)?;
    put(plan, Key::Block, block_ms, |case, ms| case.block_ms = ms)?;
    // Sizes may have been all that told two cases apart.
    replace(plan, &[()], |_, ()| {});
    check(plan).map_err(|message| Error::Plan {
        name: plan.name.clone(),
        message,
    })
}

/// The values of a flag; where it was not given, one that changes nothing.
fn listed<T: Copy>(values: &[T]) -> Vec<Option<T>> {
    if values.is_empty() {
        return vec![None];
    }
    values.iter().copied().map(Some).collect()
}

/// What no flag replaces stays as the plan has it; what has no use for a rate stays without one.
fn set_load(case: &mut Case, rate: Option<f64>, count: Option<u32>) {
    let connections = count.unwrap_or(case.load.connections());
    let own = match case.load {
        Load::Open { per_second, .. } => Some(per_second),
        Load::Closed { .. } => None,
    };
    case.load = match rate.filter(|_| case.uses(Key::Rate)).or(own) {
        Some(per_second) => Load::Open {
            per_second,
            connections,
        },
        None => Load::Closed { connections },
    };
}

/// A value for the cases that use it.
fn put(plan: &mut Plan, key: Key, value: Option<u64>, set: impl Fn(&mut Case, u64)) -> Result<()> {
    let Some(value) = value else {
        return Ok(());
    };
    refuse_unused(plan, key)?;
    for case in plan.cases.iter_mut().filter(|case| case.uses(key)) {
        set(case, value);
        case.settle_down();
    }
    Ok(())
}

fn refuse_unused(plan: &Plan, key: Key) -> Result<()> {
    if plan.cases.iter().any(|case| case.uses(key)) {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "--{} is of no use: no case of plan {} that is left uses it; leave it out",
        key.name(),
        plan.name
    )))
}

/// Each case once with every value; cases that become the same are kept once.
fn replace<T>(plan: &mut Plan, values: &[T], set: impl Fn(&mut Case, &T)) {
    let mut cases: Vec<Case> = Vec::new();
    for case in &plan.cases {
        for value in values {
            let mut case = case.clone();
            set(&mut case, value);
            if !cases.iter().any(|known| known.title() == case.title()) {
                cases.push(case);
            }
        }
    }
    plan.cases = cases;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::plan::load;

    #[test]
    fn flags_change_only_the_cases_that_use_them() {
        let mut plan = load("quick").unwrap();
        let flags = Overrides {
            up: Some("3KiB".into()),
            rate: vec![50.0],
            block: Some("9ms".into()),
            ..Overrides::default()
        };
        apply(&mut plan, &flags).unwrap();
        for case in &plan.cases {
            let (title, uses) = (case.title(), |key| case.uses(key));
            assert_eq!(title.contains(" 3 KiB up"), uses(Key::Up), "{title}");
            assert_eq!(title.contains("50 per second"), uses(Key::Rate), "{title}");
            assert_eq!(case.block_ms == 9, uses(Key::Block), "{title}");
            assert!(
                !title.contains("up") || case.scenario != Scenario::Idle,
                "{title}"
            );
        }
        // A request that sends fetches nothing.
        let sends = |case: &&Case| case.scenario == Scenario::H1Keepalive;
        assert_eq!(plan.cases.iter().find(sends).unwrap().down, 0);
    }

    /// `--rate` alone put 32 connections in place of the case's own, and `--connections` alone took its rate away.
    #[test]
    fn a_rate_keeps_the_connections_and_connections_keep_the_rate() {
        const CASES: &str = "name = \"p\"\n[[case]]\nscenario = \"h1-keepalive\"\nconnections = [3]\n\
            [[case]]\nscenario = \"grpc-unary\"\nrate = [70.0]\nconnections = [5]\n[[case]]\nscenario = \"idle\"\n";
        let loads = |rate: &[f64], connections: &[u32]| -> Vec<Load> {
            let mut plan = crate::plan::file::parse("p", CASES).unwrap();
            let flags = Overrides {
                rate: rate.to_vec(),
                connections: connections.to_vec(),
                ..Overrides::default()
            };
            apply(&mut plan, &flags).unwrap();
            plan.cases.iter().map(|case| case.load).collect()
        };
        let open = |per_second, connections| Load::Open {
            per_second,
            connections,
        };
        let closed = |connections| Load::Closed { connections };
        let idle = Scenario::Idle.defaults().connections;
        assert_eq!(
            loads(&[50.0], &[]),
            [open(50.0, 3), open(50.0, 5), closed(idle)]
        );
        assert_eq!(loads(&[], &[8]), [closed(8), open(70.0, 8), closed(8)]);
        assert_eq!(
            loads(&[50.0], &[8]),
            [open(50.0, 8), open(50.0, 8), closed(8)]
        );
    }
}
