//! What a comparison of runs holds side by side although it was not measured alike: targets of one name with other groups
//! or connections, and cases of one title with other blocks.

use crate::plan::{Case, Scenario, Target};
use crate::results::Results;
use crate::tls::Group;

/// One line for each thing in which a run differs from the first.
pub(super) fn from_first(first: &Results, run: &Results) -> Vec<String> {
    let targets = run.targets.iter().filter_map(|theirs| {
        let ours = first.target(&theirs.name)?;
        let [own, other] = [theirs, ours].map(shown);
        (own != other).then(|| format!("target {} has {own}, in run 1 {other}", theirs.name))
    });
    let cases = run.cases.iter().filter_map(|theirs| {
        let title = theirs.case.title();
        let ours = first.case(&title)?;
        let [own, other] = [theirs, ours].map(|of| blocks(&of.case));
        (own != other && theirs.case.scenario != Scenario::Idle)
            .then(|| format!("{title}: {own}, in run 1 {other}"))
    });
    targets.chain(cases).collect()
}

fn shown(target: &Target) -> String {
    let group = target.group().map_or("no TLS", Group::name);
    match target.connections {
        Some(connections) => format!("{group} and {connections} connections"),
        None => group.to_owned(),
    }
}

fn blocks(case: &Case) -> String {
    format!(
        "blocks of {} ms after {} ms of warm-up",
        case.block_ms, case.warmup_ms
    )
}
