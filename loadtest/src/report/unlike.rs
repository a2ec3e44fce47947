//! What a comparison of runs holds side by side although it was not measured alike: targets of one name with other groups
//! or connections, and cases of one title with other blocks.

use crate::plan::{Case, Scenario, Target};
use crate::results::Results;

/// One line for each thing in which a run differs from the first.
pub(super) fn from_first(first: &Results, run: &Results) -> Vec<String> {
    let targets = run.targets.iter().filter_map(|theirs| {
        let ours = first.target(&theirs.name)?;
        let [own, other] = [theirs, ours].map(shown);
        (own != other).then(|| format!("target {} has {own}, in run 1 {other}", theirs.name))
    });
    let cases = run.cases.iter().filter_map(|theirs| {
        let title = theirs.case.title();
        let mut known = first.cases.iter().map(|ours| &ours.case);
        let ours = known.find(|ours| ours.title() == title)?;
        let [own, other] = [&theirs.case, ours].map(blocks);
        (own != other && theirs.case.scenario != Scenario::Idle)
            .then(|| format!("{title}: {own}, in run 1 {other}"))
    });
    targets.chain(cases).collect()
}

fn shown(target: &Target) -> String {
    let group = if target.has_tls() {
        target.expect.name()
    } else {
        "no TLS"
    };
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
