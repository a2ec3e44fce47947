//! Every figure as one line of comma-separated values (RFC 4180), for spreadsheets and scripts. Values are in the unit of
//! the column, not in the one that reads best.

use super::figures::{Assessed, AssessedCase, Figure};
use crate::plan::Load;
use crate::results::Results;

const HEAD: [&str; 18] = [
    "case",
    "scenario",
    "connections",
    "rate",
    "rtt_us",
    "baseline",
    "subject",
    "figure",
    "unit",
    "baseline_mean",
    "subject_mean",
    "difference",
    "low",
    "high",
    "percent",
    "p",
    "called",
    "pairs",
];

/// All figures of a run.
pub fn lines(results: &Results) -> String {
    let assessed = Assessed::of(results);
    let mut text = line(&HEAD.map(str::to_owned));
    for case in assessed.cases() {
        for figure in case.figures {
            text += &line(&row(case, figure));
        }
    }
    text
}

fn row(assessed: AssessedCase<'_>, figure: &Figure) -> [String; 18] {
    let case = &assessed.measured.case;
    let rate = match case.load {
        Load::Open { per_second, .. } => per_second.to_string(),
        Load::Closed { .. } => String::new(),
    };
    let d = figure.difference;
    [
        case.title(),
        case.scenario.name(),
        case.load.connections().to_string(),
        rate,
        case.link.rtt_us.to_string(),
        name(&figure.names.baseline),
        name(&figure.names.subject),
        figure.metric.name().to_owned(),
        figure.metric.unit().to_owned(),
        figure.baseline.mean.to_string(),
        figure.subject.mean.to_string(),
        d.mean.to_string(),
        d.low.to_string(),
        d.high.to_string(),
        figure
            .percent()
            .map_or_else(String::new, |percent| percent.to_string()),
        d.p.to_string(),
        figure.is_called().to_string(),
        d.n.to_string(),
    ]
}

/// A name that a spreadsheet does not take for a formula.
fn name(of: &str) -> String {
    let apostrophe = if of.starts_with(['=', '+', '-', '@']) {
        "'"
    } else {
        ""
    };
    format!("{apostrophe}{of}")
}

fn line(fields: &[String]) -> String {
    let quoted: Vec<String> = fields
        .iter()
        .map(|field| {
            if field.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", field.replace('"', "\"\""))
            } else {
                field.clone()
            }
        })
        .collect();
    quoted.join(",") + "\r\n"
}
