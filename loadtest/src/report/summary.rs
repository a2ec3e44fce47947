//! The paragraph below the headline: what hybrid costs per handshake, per request, per token, per GiB.

use super::figures::{Assessed, Figure};
use super::headline::plainest;
use super::numbers::{number, signed, time, unit_for};
use super::peers;
use crate::plan::Scenario;
use crate::results::findings::Metric;
use crate::stats::{Verdict, correction};

/// One paragraph; says less where less was measured.
pub fn paragraph(assessed: &Assessed<'_>) -> String {
    let results = assessed.results;
    if peers::is_peer_run(results) {
        return peers::paragraph(results);
    }
    let sentences: Vec<_> = [
        handshake(assessed),
        request(assessed),
        token(assessed),
        gibibyte(assessed),
    ]
    .into_iter()
    .flatten()
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

/// The figure a sentence rests on.
fn figure<'a>(
    assessed: &'a Assessed<'_>,
    scenario: Scenario,
    metric: Metric,
) -> Option<&'a Figure> {
    plainest(assessed, scenario)?.first(metric)
}

fn handshake(assessed: &Assessed<'_>) -> Option<String> {
    let scenario = Scenario::FullHandshake;
    let latency = figure(assessed, scenario, Metric::Median)?;
    let groups: Vec<_> = assessed
        .results
        .targets
        .iter()
        .map(|target| target.expect.name())
        .collect();
    let mut text = format!(
        "A full handshake with {} takes {} where one with {} takes {}: {}",
        groups.first()?,
        time(latency.subject.mean),
        groups.get(1)?,
        time(latency.baseline.mean),
        change(latency, "longer", "shorter"),
    );
    let (up, down) = (
        figure(assessed, scenario, Metric::HandshakeUp)?,
        figure(assessed, scenario, Metric::HandshakeDown)?,
    );
    text += &format!(
        ", and {} more bytes ({} up, {} down)",
        number(up.difference.mean + down.difference.mean),
        signed(up.difference.mean),
        signed(down.difference.mean)
    );
    if let Some(cpu) = figure(assessed, scenario, Metric::ServerCpu) {
        text += &format!("; server CPU: {}", change(cpu, "more", "less"));
    }
    Some(text + ".")
}

fn request(assessed: &Assessed<'_>) -> Option<String> {
    let scenario = Scenario::H1Keepalive;
    let latency = figure(assessed, scenario, Metric::Median)?;
    let mut text = format!(
        "A request on an open connection takes {}: {}",
        time(latency.subject.mean),
        change(latency, "longer", "shorter")
    );
    if let Some(cpu) = figure(assessed, scenario, Metric::ServerCpu) {
        text += &format!("; server CPU: {}", change(cpu, "more", "less"));
    }
    Some(text + ".")
}

fn token(assessed: &Assessed<'_>) -> Option<String> {
    let scenario = Scenario::TokenStream;
    let gap = figure(assessed, scenario, Metric::TokenGap)?;
    let first = figure(assessed, scenario, Metric::FirstToken)?;
    Some(format!(
        "From one streamed token to the next: {}; to the first one: {}.",
        change(gap, "longer", "shorter"),
        change(first, "longer", "shorter")
    ))
}

fn gibibyte(assessed: &Assessed<'_>) -> Option<String> {
    const BULK: [Scenario; 5] = [
        Scenario::Download,
        Scenario::Upload,
        Scenario::TcpDownload,
        Scenario::TcpUpload,
        Scenario::GradientExchange,
    ];
    let scenario = BULK
        .into_iter()
        .find(|scenario| plainest(assessed, *scenario).is_some())?;
    let wire = figure(assessed, scenario, Metric::Wire)?;
    let mut text = format!(
        "A GiB of payload puts {} more bytes on the wire than classical ({} % beyond the payload in both)",
        wire.change_cell(),
        number(figure(assessed, scenario, Metric::Overhead)?.subject.mean),
    );
    if let Some(cpu) = figure(assessed, scenario, Metric::ServerCpuPerGib) {
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
