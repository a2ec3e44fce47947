//! Several runs side by side: a difference is marked only where the two intervals share no value, and where it survives the
//! correction for the number of figures.

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
use crate::stats::{Interval, correction};

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
    nodes.push(Node::Paragraph(format!(
        "Shown is the difference of subject and baseline in each run with its 95 % interval and the number of pairs. A run is \
         marked `*` where its interval lies wholly outside that of run 1 and their difference survives the correction for the \
         number of figures ({}): beyond the measured spread. An interval of width zero, of what was the same in every block, \
         says nothing of the spread: it is taken to be as wide as the other one. The spread is that of the blocks of \
         a run: what changes from one run to the next, such as where memory lies, is not in it.",
        correction::NAME
    )));
    let mut tables = Vec::new();
    for case in &first.cases {
        let title = case.case.title();
        let same: Vec<_> = others.iter().filter_map(|run| run.case(&title)).collect();
        if same.len() == others.len() {
            tables.push((title, rows(first, case, &same)));
        }
    }
    let mut pairs: Vec<_> = tables.iter_mut().flat_map(|(_, rows)| rows).collect();
    let summary = mark(pairs.iter_mut().flat_map(|row| &mut row.others).flatten());
    nodes.push(Node::Paragraph(summary.ok_or_else(nothing)?));
    for (title, rows) in tables {
        let mut head = vec![String::new(), "pair".to_owned()];
        head.extend((1..=runs.len()).map(|run| format!("run {run}")));
        nodes.push(Node::Heading(3, title));
        let rows = rows.into_iter().map(Row::cells).collect();
        nodes.push(Node::Table { head, rows });
    }
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
        let found: Vec<_> = runs.iter().map(|run| run.case(&title)).collect();
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

/// One figure of a pair in all runs.
struct Row {
    metric: Metric,
    pair: String,
    first: Interval,
    /// None where a run does not have it.
    others: Vec<Option<Other>>,
}

/// The figure in another run.
struct Other {
    interval: Interval,
    /// The probability of being so far from run 1 where there is no difference.
    p: f64,
    /// The two intervals share no value.
    apart: bool,
    marked: bool,
}

impl Other {
    fn of(interval: Interval, first: &Interval) -> Self {
        let (own, other) = (
            interval.with_spread_of(first),
            first.with_spread_of(&interval),
        );
        Self {
            p: own.p_from(&other),
            apart: own.is_apart_from(&other),
            interval,
            marked: false,
        }
    }
}

impl Row {
    fn cells(self) -> Vec<String> {
        let mut cells = vec![self.metric.title().to_owned(), self.pair];
        cells.push(cell(&self.first, self.metric));
        cells.extend(self.others.into_iter().map(|other| match other {
            Some(other) if other.marked => format!("{} *", cell(&other.interval, self.metric)),
            Some(other) => cell(&other.interval, self.metric),
            None => "-".into(),
        }));
        cells
    }
}

/// Marks what survives, and says how much that is; none where nothing was compared.
fn mark<'a>(others: impl Iterator<Item = &'a mut Other>) -> Option<String> {
    let others: Vec<_> = others.collect();
    let p: Vec<f64> = others.iter().map(|other| other.p).collect();
    let (mut apart, mut marked) = (0, 0);
    for (other, survives) in others.into_iter().zip(correction::survivors(&p)) {
        other.marked = survives && other.apart;
        apart += usize::from(other.apart);
        marked += usize::from(other.marked);
    }
    (!p.is_empty()).then(|| {
        format!(
            "Figures beyond the spread: {marked} of {}. {apart} by their intervals alone, before the correction.",
            p.len()
        )
    })
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

fn rows(first: &Results, case: &CaseResult, others: &[&CaseResult]) -> Vec<Row> {
    let mut rows = Vec::new();
    for pairing in pairings(first, case) {
        for metric in Metric::for_scenario(case.case.scenario) {
            let difference =
                |case: &CaseResult| Some(summarise(case, &pairing, metric)?.difference);
            let Some(first) = difference(case) else {
                continue;
            };
            let others = others
                .iter()
                .map(|other| Some(Other::of(difference(other)?, &first)));
            rows.push(Row {
                metric,
                pair: format!("{} - {}", pairing.subject, pairing.baseline),
                others: others.collect(),
                first,
            });
        }
    }
    rows
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
