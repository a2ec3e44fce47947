//! Costs that the results do not have, and the flags that would measure them.

use super::costs::{Costs, Work, comparable};
use crate::plan::Scenario;
use crate::results::Results;

const OBSERVED: &str = "the server was not observed: give its --pid or its --metrics (`pid_file` or `metrics` of the target \
                        in a plan)";

/// One line for each, none where everything is there.
pub fn missing(results: &Results, costs: &Costs) -> String {
    let target = costs.target.as_str();
    let line = |what: &str, remedy: String| format!("- Not measured, {what}: {remedy}.\n");
    let mut lines = Vec::new();
    let mut one_load = Vec::new();
    for work in Work::ALL {
        match costs.cpu(work) {
            None => lines.push(line(work.title(), remedy(results, target, work.scenario()))),
            Some(cost) if cost.quiet.is_none() => one_load.push(work),
            Some(_) => {}
        }
    }
    if costs.connection_kib.is_none() {
        let remedy = remedy(results, target, Scenario::Idle);
        lines.push(line("memory of an idle connection", remedy));
    }
    if costs.base_mib.is_none() {
        lines.push(line("memory of the process", OBSERVED.to_owned()));
    }
    if !one_load.is_empty() {
        let titles: Vec<_> = one_load.iter().map(|work| work.title()).collect();
        let names: Vec<_> = one_load.iter().map(|work| work.scenario().name()).collect();
        let remedy = format!(
            "one load is not enough; run a plan with `--scenario {} --connections 1,64`, or with a `rate`",
            names.join(",")
        );
        lines.push(line(&format!("quiet of {}", titles.join(", ")), remedy));
    }
    if lines.is_empty() {
        return String::new();
    }
    format!("\n{}", lines.concat())
}

/// A case that is there and has no figure of the server was measured without a look at it.
fn remedy(results: &Results, target: &str, scenario: Scenario) -> String {
    let mut cases = comparable(results, scenario);
    if cases.any(|case| case.blocks_of(target).next().is_some()) {
        return OBSERVED.to_owned();
    }
    let name = scenario.name();
    format!(
        "no case without an emulated link has it; run a plan that has, such as `hybridge-loadtest run full --scenario {name} --rtt 0`"
    )
}
