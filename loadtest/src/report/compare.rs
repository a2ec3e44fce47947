//! Several runs side by side: a difference is marked only where the two intervals share no value.

use std::collections::BTreeSet;

use hybridge_page::Node;

use super::figures::{pairings, summarise};
use super::numbers::{number, signed, unit_for};
use super::render;
use super::unlike;
use super::warnings::warnings;
use crate::error::{Error, Result};
use crate::results::findings::Metric;
use crate::results::{CaseResult, Results};
use crate::stats::Interval;

/// A table for each case all runs have, and the cases that some run lacks; the first run is what the others are held
/// against. An error where there is nothing that could be.
pub fn markdown(names: &[String], runs: &[Results]) -> Result<String> {
    let nothing = || {
        let words = "these runs have no figure in common: no case of the same title with the same targets; compare runs \
                     of one plan";
        Error::Usage(words.into())
    };
    let runs: Vec<Results> = runs.iter().map(Results::for_markdown).collect();
    let (first, others) = runs.split_first().ok_or_else(nothing)?;
    let mut nodes = vec![Node::Heading(1, "Runs compared".into())];
    nodes.push(Node::List(
        names
            .iter()
            .zip(&runs)
            .enumerate()
            .map(|(index, (name, run))| describe(index, name, run))
            .collect(),
    ));
    nodes.extend(notes(&runs));
    nodes.push(Node::Paragraph(
        "Shown is the difference of subject and baseline in each run with its 95 % interval and the number of pairs. A run is \
         marked `*` where its interval lies wholly outside that of run 1: beyond the measured spread. Everything else is noise as far as \
         these runs can tell."
            .into(),
    ));
    let summary = nodes.len();
    let (mut marked, mut compared) = (0, 0);
    for case in &first.cases {
        let same: Vec<_> = others.iter().map(|run| find(run, case)).collect();
        if same.iter().any(Option::is_none) {
            continue;
        }
        let (rows, found) = rows(first, case, &same);
        marked += found.marked;
        compared += found.compared;
        let mut head = vec![String::new(), "pair".to_owned()];
        head.extend((1..=runs.len()).map(|run| format!("run {run}")));
        nodes.extend([
            Node::Heading(3, case.case.title()),
            Node::Table { head, rows },
        ]);
    }
    if compared == 0 {
        return Err(nothing());
    }
    nodes.insert(
        summary,
        Node::Paragraph(format!(
            "Figures beyond the spread: {marked} of {compared}."
        )),
    );
    let left_out = left_out(&runs);
    if !left_out.is_empty() {
        nodes.extend([
            Node::Heading(2, "Not compared".into()),
            Node::Paragraph("Cases and targets that not every run has:".into()),
            Node::List(left_out),
        ]);
    }
    Ok(render(&nodes))
}

/// What must be known of each run before its figures are trusted, and what it did not measure.
fn notes(runs: &[Results]) -> Vec<Node> {
    let of_run = |(run, number): (&Results, usize)| {
        let skipped = run.skipped.iter().map(|why| format!("not measured: {why}"));
        let all: Vec<Node> = warnings(run)
            .into_iter()
            .chain(unlike::from_first(&runs[0], run))
            .chain(skipped)
            .map(|note| Node::Warning(format!("Run {number}: {note}")))
            .collect();
        all
    };
    runs.iter().zip(1..).flat_map(of_run).collect()
}

/// Cases that some run lacks, and targets that some run lacks in a case, each with the runs that have it.
fn left_out(runs: &[Results]) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    for case in runs.iter().flat_map(|run| &run.cases) {
        let title = case.case.title();
        if seen.contains(&title) {
            continue;
        }
        let found: Vec<_> = runs.iter().map(|run| find(run, case)).collect();
        let have = only_in(&found, |_| true);
        if let Some(have) = &have {
            lines.push(format!("{title}: only in run {have}"));
        }
        let targets: BTreeSet<String> = match have {
            Some(_) => BTreeSet::new(),
            None => found
                .iter()
                .flatten()
                .flat_map(|case| case.targets())
                .collect(),
        };
        for target in targets {
            if let Some(have) = only_in(&found, |case| case.targets().contains(&target)) {
                lines.push(format!("{title}: target {target} only in run {have}"));
            }
        }
        seen.push(title);
    }
    lines
}

/// The numbers of the runs whose case is such a one; none where all are.
fn only_in(cases: &[Option<&CaseResult>], is: impl Fn(&CaseResult) -> bool) -> Option<String> {
    let numbered = cases.iter().zip(1_usize..);
    let have: Vec<String> = numbered
        .filter(|(case, _)| case.is_some_and(&is))
        .map(|(_, number)| number.to_string())
        .collect();
    (have.len() < cases.len()).then(|| have.join(", "))
}

/// Figures of a case that another run has too, and those of them beyond the spread.
#[derive(Default)]
struct Found {
    compared: usize,
    marked: usize,
}

fn describe(index: usize, name: &str, run: &Results) -> String {
    let p = &run.provenance;
    format!(
        "run {}: {name}, {}, {} ({}), seed {}",
        index + 1,
        p.started,
        p.version,
        p.machine.cpu,
        p.seed
    )
}

fn find<'a>(run: &'a Results, case: &CaseResult) -> Option<&'a CaseResult> {
    run.cases
        .iter()
        .find(|other| other.case.title() == case.case.title())
}

fn rows(
    first: &Results,
    case: &CaseResult,
    others: &[Option<&CaseResult>],
) -> (Vec<Vec<String>>, Found) {
    let (mut rows, mut found) = (Vec::new(), Found::default());
    for pairing in pairings(first, case) {
        for metric in Metric::for_scenario(case.case.scenario) {
            let Some(mine) = summarise(case, &pairing, metric) else {
                continue;
            };
            let mut row = vec![
                metric.title().to_owned(),
                format!("{} - {}", pairing.subject, pairing.baseline),
            ];
            row.push(cell(&mine.difference, metric));
            for other in others.iter().flatten() {
                let theirs = summarise(other, &pairing, metric);
                let apart = theirs
                    .as_ref()
                    .is_some_and(|theirs| theirs.difference.is_apart_from(&mine.difference));
                found.compared += usize::from(theirs.is_some());
                found.marked += usize::from(apart);
                let text =
                    theirs.map_or_else(|| "-".into(), |theirs| cell(&theirs.difference, metric));
                row.push(if apart { format!("{text} *") } else { text });
            }
            rows.push(row);
        }
    }
    (rows, found)
}

fn cell(interval: &Interval, metric: Metric) -> String {
    let (factor, unit) = unit_for(metric.unit(), interval.bound());
    format!(
        "{} {unit} [{}, {}], {} pairs",
        signed(interval.mean * factor),
        number(interval.low * factor),
        number(interval.high * factor),
        interval.n
    )
}
