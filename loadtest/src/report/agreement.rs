//! The table of `check`: a server against itself, case by case.

use hybridge_page::Node;

use super::numbers::{number, plural};
use super::render;
use crate::results::tally::{Count, Tally};

/// Why a check says nothing, and what would let it.
pub const NOTHING: &str = "no figure was measured on both sides, or each was the same in every block; more rounds, or \
                           `pid_file` or `metrics` of the targets in the plan, show more";

/// What is shown and kept of all runs.
pub fn markdown(tally: &Tally, command: &str) -> String {
    let total = tally.total();
    let row = |name: String, count: Count| {
        vec![
            name,
            count.intervals.to_string(),
            count.leave_out_zero.to_string(),
            count
                .percent()
                .map_or_else(|| "-".into(), |share| format!("{} %", number(share))),
        ]
    };
    let table = |head: &str, rows: Vec<Vec<String>>| {
        Node::table([head, "intervals", "leave out zero", "share"], rows)
    };
    let mut cases: Vec<_> = tally
        .by_case()
        .into_iter()
        .map(|(title, count)| row(title, count))
        .collect();
    cases.push(row("all".into(), total));
    let figures = tally.rows.iter().map(|found| {
        row(
            format!("{}: {}", found.title, found.metric.title()),
            found.count,
        )
    });
    let runs = plural(tally.runs, "run");
    let words = match total.percent() {
        Some(share) => format!(
            "{} of {} intervals leave out zero in {runs} of one server against itself: {} %. By chance about 5 % would. \
             Figures that were the same in every block are not counted.",
            total.leave_out_zero,
            total.intervals,
            number(share),
        ),
        None => format!("No interval came of {runs} of one server against itself: {NOTHING}."),
    };
    let mut nodes = vec![
        Node::Heading(1, "One server against itself".into()),
        Node::Paragraph(words),
    ];
    nodes.extend(tally.notes.iter().cloned().map(Node::Warning));
    nodes.extend([
        Node::Paragraph(format!("`hybridge-loadtest {command}`")),
        table("case", cases),
        Node::Heading(2, "Figure by figure".into()),
        table("figure", figures.collect()),
    ]);
    render(&nodes)
}
