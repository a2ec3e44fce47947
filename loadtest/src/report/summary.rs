//! The paragraph below the headline: what hybrid costs per handshake, per request, per token, per GiB. Where there are
//! several pairs, it tells that of each.

use super::figures::{Assessed, Figure};
use super::headline::plainest;
use super::numbers::{number, signed, time, unit_for};
use super::peers;
use super::sides::Sides;
use crate::plan::{Scenario, Target};
use crate::results::findings::Metric;
use crate::stats::{Verdict, correction};
use crate::tls::Group;

/// One paragraph; says less where less was measured.
pub fn paragraph(assessed: &Assessed<'_>) -> String {
    let results = assessed.results;
    if peers::is_peer_run(results) {
        return peers::paragraph(results);
    }
    let sentences: Vec<_> = Sides::all(results)
        .into_iter()
        .filter_map(|sides| of_pair(&Told { assessed, sides }))
        .collect();
    if sentences.is_empty() {
        return "Too little was measured for a summary; the tables below show what there is."
            .into();
    }
    // Not what the plan says: a target may have failed, or the run been interrupted.
    let pairs = || assessed.all().map(|figure| figure.difference.n);
    let (fewest, most) = (pairs().min().unwrap_or(0), pairs().max().unwrap_or(0));
    let pairs = if fewest == most {
        fewest.to_string()
    } else {
        format!("{fewest} to {most}")
    };
    let note = format!(
        "In brackets are 95 % confidence intervals, from {pairs} pairs of blocks; a difference is named only where it survives the correction for {} figures ({}).",
        assessed.all().count(),
        correction::NAME
    );
    format!("{} {note}", sentences.join(" "))
}

/// The pair that sentences are about.
struct Told<'a> {
    assessed: &'a Assessed<'a>,
    sides: Sides,
}

impl Told<'_> {
    /// The figure a sentence rests on.
    fn figure(&self, scenario: Scenario, metric: Metric) -> Option<&Figure> {
        let case = plainest(self.assessed, &self.sides, scenario)?;
        self.sides.figure(case, metric)
    }

    fn group(&self, target: &str) -> Option<&'static str> {
        let target = self.assessed.results.target(target);
        target.and_then(Target::group).map(Group::name)
    }
}

/// The sentences of a pair, behind its name where there are others.
fn of_pair(told: &Told<'_>) -> Option<String> {
    let sentences: Vec<_> = [handshake(told), request(told), token(told), gibibyte(told)]
        .into_iter()
        .flatten()
        .collect();
    let sentences = (!sentences.is_empty()).then(|| sentences.join(" "))?;
    Some(match told.sides.named() {
        Some(named) => format!("{named}: {sentences}"),
        None => sentences,
    })
}

fn handshake(told: &Told<'_>) -> Option<String> {
    let scenario = Scenario::FullHandshake;
    let latency = told.figure(scenario, Metric::Median)?;
    let mut text = format!(
        "A full handshake with {} takes {} where one with {} takes {}: {}",
        told.group(&latency.names.subject)?,
        time(latency.subject.mean),
        told.group(&latency.names.baseline)?,
        time(latency.baseline.mean),
        change(latency, "longer", "shorter"),
    );
    let up = told.figure(scenario, Metric::HandshakeUp)?.difference.mean;
    let down = told
        .figure(scenario, Metric::HandshakeDown)?
        .difference
        .mean;
    text += &format!(
        ", and {} {} bytes ({} up, {} down)",
        number((up + down).abs()),
        more_or_fewer(up + down),
        signed(up),
        signed(down)
    );
    if let Some(cpu) = told.figure(scenario, Metric::ServerCpu) {
        text += &format!("; server CPU: {}", change(cpu, "more", "less"));
    }
    Some(text + ".")
}

fn more_or_fewer(difference: f64) -> &'static str {
    if difference < 0.0 { "fewer" } else { "more" }
}

fn request(told: &Told<'_>) -> Option<String> {
    let scenario = Scenario::H1Keepalive;
    let latency = told.figure(scenario, Metric::Median)?;
    let mut text = format!(
        "A request on an open connection takes {}: {}",
        time(latency.subject.mean),
        change(latency, "longer", "shorter")
    );
    if let Some(cpu) = told.figure(scenario, Metric::ServerCpu) {
        text += &format!("; server CPU: {}", change(cpu, "more", "less"));
    }
    Some(text + ".")
}

fn token(told: &Told<'_>) -> Option<String> {
    let scenario = Scenario::TokenStream;
    let gap = told.figure(scenario, Metric::TokenGap)?;
    let first = told.figure(scenario, Metric::FirstToken)?;
    Some(format!(
        "From one streamed token to the next: {}; to the first one: {}.",
        change(gap, "longer", "shorter"),
        change(first, "longer", "shorter")
    ))
}

fn gibibyte(told: &Told<'_>) -> Option<String> {
    const BULK: [Scenario; 5] = [
        Scenario::Download,
        Scenario::Upload,
        Scenario::TcpDownload,
        Scenario::TcpUpload,
        Scenario::GradientExchange,
    ];
    let scenario = BULK
        .into_iter()
        .find(|scenario| plainest(told.assessed, &told.sides, *scenario).is_some())?;
    let wire = told.figure(scenario, Metric::Wire)?;
    let overhead = told.figure(scenario, Metric::Overhead)?;
    let beyond = [overhead.subject.mean, overhead.baseline.mean].map(number);
    let mut text = format!(
        "A GiB of payload puts {} {} bytes on the wire than {} ({} % beyond the payload{})",
        wire.change_cell().trim_start_matches('-'),
        more_or_fewer(wire.difference.mean),
        told.sides.baseline(),
        beyond[0],
        if beyond[0] == beyond[1] {
            " in both".to_owned()
        } else {
            format!(", {} % with {}", beyond[1], told.sides.baseline())
        }
    );
    if let Some(cpu) = told.figure(scenario, Metric::ServerCpuPerGib) {
        text += &format!(
            " and takes {} ms of server CPU: {}",
            number(cpu.subject.mean),
            change(cpu, "more", "less")
        );
    }
    Some(text + ".")
}

/// `62 µs longer (55 to 70; +18 %)`, or that no difference was seen.
fn change(figure: &Figure, more: &str, less: &str) -> String {
    let d = figure.difference;
    let (factor, unit) = unit_for(figure.metric.unit(), d.mean.abs());
    let words = |word: &str, sign: f64| {
        let (low, high) = if sign > 0.0 {
            (d.low, d.high)
        } else {
            (-d.high, -d.low)
        };
        format!(
            "{} {unit} {word} ({} to {}; {})",
            number(d.mean * sign * factor),
            number(low * factor),
            number(high * factor),
            figure.change_cell(),
        )
    };
    match figure.called() {
        Verdict::More => words(more, 1.0),
        Verdict::Less => words(less, -1.0),
        _ => figure.called_cell(),
    }
}
