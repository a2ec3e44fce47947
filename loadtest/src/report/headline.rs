//! What a manager reads first: a verdict in one sentence and three numbers in large type, made only of figures that
//! survive the correction for their number. Where there are several pairs, the verdict is one of each.

use hybridge_page::Tile;

use super::figures::{Assessed, AssessedCase, Figure};
use super::numbers::{signed, unit_for};
use super::sides::Sides;
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

/// The plainest case of a scenario that has this pair: over loopback, closed load, fewest connections.
pub(super) fn plainest<'a>(
    assessed: &'a Assessed<'_>,
    sides: &Sides,
    scenario: Scenario,
) -> Option<AssessedCase<'a>> {
    let fits = |of: &AssessedCase<'_>| {
        let case = &of.measured.case;
        case.scenario == scenario && matches!(case.load, Load::Closed { .. }) && sides.are_in(*of)
    };
    assessed.cases().filter(fits).min_by_key(|case| {
        let case = &case.measured.case;
        (case.link.rtt_us, case.load.connections())
    })
}

/// The first figures there are of a pair.
fn told<'a>(
    assessed: &'a Assessed<'_>,
    sides: &Sides,
) -> Vec<(&'a Figure, Scenario, &'static str)> {
    let found = TOLD.iter().filter_map(|(scenario, metric, label)| {
        let figure = sides.figure(plainest(assessed, sides, *scenario)?, *metric)?;
        Some((figure, *scenario, *label))
    });
    found.take(TILES).collect()
}

/// The large numbers: of the first pairs, where there are several.
pub(super) fn tiles(assessed: &Assessed<'_>) -> Vec<Tile> {
    let mut tiles = Vec::new();
    for sides in Sides::all(assessed.results) {
        let told = told(assessed, &sides).into_iter();
        tiles.extend(told.map(|(figure, _, label)| match sides.named() {
            Some(named) => tile(figure, format!("{label}, {named}")),
            None => tile(figure, label.to_owned()),
        }));
    }
    tiles.truncate(TILES);
    tiles
}

fn tile(figure: &Figure, label: String) -> Tile {
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
    Tile { label, value, note }
}

/// The run in one sentence, or a few for each pair.
pub(super) fn verdict(assessed: &Assessed<'_>) -> String {
    let of_pairs = Sides::all(assessed.results);
    let sentences: Vec<_> = of_pairs
        .iter()
        .flat_map(|sides| verdict_of(assessed, sides))
        .collect();
    if sentences.is_empty() {
        return "Too little was measured for a verdict; the tables below show what there is."
            .into();
    }
    sentences.join(" ")
}

fn verdict_of(assessed: &Assessed<'_>, sides: &Sides) -> Vec<String> {
    let told = told(assessed, sides);
    let names = |wanted: &[Verdict]| -> Vec<String> {
        told.iter()
            .filter(|(figure, ..)| wanted.contains(&figure.called()))
            .map(|(figure, scenario, _)| {
                let noun = noun(*scenario);
                if wanted.contains(&Verdict::More) {
                    noun.to_owned()
                } else {
                    // One figure says nothing of the others: of a new connection, nothing of its bytes.
                    format!("the {} of {noun}", aspect(figure.metric))
                }
            })
            .collect()
    };
    let costs = |how: &str| {
        let (subject, baseline) = (sides.subject(), sides.baseline());
        format!("{subject} costs {how} than {baseline}")
    };
    let begun = |with: &str, behind_names: &str| match sides.named() {
        Some(named) => format!("{named}: {behind_names}"),
        None => with.to_owned(),
    };
    let mut sentences = Vec::new();
    for (verdicts, words) in [
        (&[Verdict::More][..], costs("more") + " for"),
        (&[Verdict::Less], costs("less") + " in"),
        (
            &[Verdict::Equivalent, Verdict::Open],
            begun("No difference was seen in", "no difference was seen in"),
        ),
        (
            &[Verdict::Unsteady],
            begun(
                "The halves of the run disagree about",
                "the halves of the run disagree about",
            ),
        ),
    ] {
        let names = names(verdicts);
        if !names.is_empty() {
            sentences.push(format!("{words} {}.", list(&names)));
        }
    }
    sentences
}

/// What of it was compared.
fn aspect(metric: Metric) -> &'static str {
    match metric {
        Metric::ServerCpuPerGib => "server CPU",
        Metric::TokenGap => "interval",
        _ => "latency",
    }
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
