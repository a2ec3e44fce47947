//! What a manager reads first: a verdict in one sentence and three numbers in large type, made only of figures that
//! survive the correction for their number.

use hybridge_page::Tile;

use super::figures::{Assessed, AssessedCase, Figure};
use super::numbers::{signed, unit_for};
use crate::plan::{Load, Scenario};
use crate::results::findings::Metric;
use crate::stats::Verdict;

/// What is told first, in order, and by which figure.
const TOLD: [(Scenario, Metric, &str); 9] = [
    (
        Scenario::FullHandshake,
        Metric::Median,
        "per new connection (full handshake)",
    ),
    (
        Scenario::H1Keepalive,
        Metric::Median,
        "per request on an open connection",
    ),
    (
        Scenario::Download,
        Metric::ServerCpuPerGib,
        "server CPU per GiB sent",
    ),
    (
        Scenario::TokenStream,
        Metric::TokenGap,
        "from one streamed token to the next",
    ),
    (
        Scenario::ResumedHandshake,
        Metric::Median,
        "per resumed connection",
    ),
    (
        Scenario::RequestPerConnection,
        Metric::Median,
        "per request with a connection of its own",
    ),
    (
        Scenario::Upload,
        Metric::ServerCpuPerGib,
        "server CPU per GiB received",
    ),
    (
        Scenario::TcpDownload,
        Metric::ServerCpuPerGib,
        "server CPU per GiB of raw TCP sent",
    ),
    (Scenario::Download, Metric::Median, "per download"),
];
const TILES: usize = 3;

/// The plainest case of a scenario: over loopback, closed load, fewest connections.
pub(super) fn plainest<'a>(
    assessed: &'a Assessed<'_>,
    scenario: Scenario,
) -> Option<AssessedCase<'a>> {
    let fits = |case: &AssessedCase<'_>| {
        let case = &case.measured.case;
        case.scenario == scenario && matches!(case.load, Load::Closed { .. })
    };
    assessed.cases().filter(fits).min_by_key(|case| {
        let case = &case.measured.case;
        (case.link.rtt_us, case.load.connections())
    })
}

/// The first figures there are.
fn told<'a>(assessed: &'a Assessed<'_>) -> Vec<(&'a Figure, Scenario, &'static str)> {
    let found = TOLD.iter().filter_map(|(scenario, metric, label)| {
        let figure = plainest(assessed, *scenario)?.first(*metric)?;
        Some((figure, *scenario, *label))
    });
    found.take(TILES).collect()
}

/// The large numbers.
pub(super) fn tiles(assessed: &Assessed<'_>) -> Vec<Tile> {
    told(assessed)
        .into_iter()
        .map(|(figure, _, label)| tile(figure, label))
        .collect()
}

fn tile(figure: &Figure, label: &str) -> Tile {
    let d = figure.difference;
    let (factor, unit) = unit_for(figure.metric.unit(), d.mean.abs());
    let (value, note) = match figure.called() {
        Verdict::More | Verdict::Less => (
            format!("{} {unit}", signed(d.mean * factor)),
            format!(
                "{}; 95 % interval {} to {} {unit}",
                figure.change_cell(),
                signed(d.low * factor),
                signed(d.high * factor)
            ),
        ),
        Verdict::Unsteady => (
            "no figure".to_owned(),
            "the two halves of the run disagree".to_owned(),
        ),
        Verdict::Equivalent | Verdict::Open => (
            "no difference".to_owned(),
            format!("within {}", figure.bound_cell()),
        ),
    };
    Tile {
        label: label.to_owned(),
        value,
        note,
    }
}

/// The run in one sentence.
pub(super) fn verdict(assessed: &Assessed<'_>) -> String {
    let told = told(assessed);
    if told.is_empty() {
        return "Too little was measured for a verdict; the tables below show what there is."
            .into();
    }
    let names = |wanted: &[Verdict]| -> Vec<String> {
        told.iter()
            .filter(|(figure, ..)| wanted.contains(&figure.called()))
            .map(|(_, scenario, _)| noun(*scenario).to_owned())
            .collect()
    };
    let mut sentences = Vec::new();
    for (verdicts, words) in [
        (&[Verdict::More][..], "Hybrid costs more than classical for"),
        (&[Verdict::Less], "Hybrid costs less than classical for"),
        (
            &[Verdict::Equivalent, Verdict::Open],
            "No difference was seen for",
        ),
        (&[Verdict::Unsteady], "The halves of the run disagree about"),
    ] {
        let names = names(verdicts);
        if !names.is_empty() {
            sentences.push(format!("{words} {}.", list(&names)));
        }
    }
    sentences.join(" ")
}

fn noun(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::FullHandshake => "a new connection",
        Scenario::ResumedHandshake => "a resumed connection",
        Scenario::H1Keepalive => "a request on an open connection",
        Scenario::RequestPerConnection => "a request with its own connection",
        Scenario::TokenStream => "a streamed token",
        Scenario::Upload => "bytes received",
        _ => "bytes sent",
    }
}

fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
