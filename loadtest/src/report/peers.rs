//! A run against other proxies: several baselines. The figure is the ratio of server CPU, or of memory, to the best
//! of them, pair by pair.

use hybridge_page::Node;

use super::figures::pairings;
use super::numbers::measured;
use crate::plan::{Scenario, Target};
use crate::results::findings::{Metric, level, ratio};
use crate::results::{CaseResult, Results};
use crate::stats::Interval;

/// One cell of the ratio table.
struct Ratio {
    best: String,
    best_level: f64,
    subject: String,
    level: f64,
    to_best: Interval,
    metric: Metric,
}

/// Servers are compared, not key exchanges: several baselines, or the same group wherever there is TLS.
pub fn is_peer_run(results: &Results) -> bool {
    let mut groups: Vec<_> = results.targets.iter().filter_map(Target::group).collect();
    groups.dedup();
    let same = results.targets.len() > 1 && groups.len() < 2;
    same || has_several_baselines(results)
}

/// More than one proxy to be measured against.
pub fn has_several_baselines(results: &Results) -> bool {
    let several = |case: &CaseResult| {
        let pairings = pairings(results, case);
        pairings
            .iter()
            .any(|pair| pair.baseline != pairings[0].baseline)
    };
    results.cases.iter().any(several)
}

/// What the ratios are taken to.
fn reference(results: &Results) -> &'static str {
    if has_several_baselines(results) {
        "the best other proxy"
    } else {
        "the baseline"
    }
}

/// The metrics a scenario's cost is told in.
fn costs(scenario: Scenario) -> &'static [Metric] {
    match scenario {
        Scenario::Idle => &[Metric::IdleMemory],
        Scenario::TokenStream => &[Metric::ServerCpuPerToken, Metric::TokenDelay],
        scenario if scenario.is_bulk() => &[Metric::ServerCpuPerGib],
        _ => &[Metric::ServerCpu],
    }
}

fn ratios(results: &Results, case: &CaseResult) -> Vec<Ratio> {
    let metrics = costs(case.case.scenario).iter();
    metrics
        .flat_map(|metric| ratios_of(results, case, *metric))
        .collect()
}

fn ratios_of(results: &Results, case: &CaseResult, metric: Metric) -> Vec<Ratio> {
    let pairings = pairings(results, case);
    let baselines = pairings
        .iter()
        .filter_map(|pair| Some((&pair.baseline, level(case, &pair.baseline, metric)?.mean)));
    let Some((best, best_level)) = baselines.min_by(|a, b| a.1.total_cmp(&b.1)) else {
        return Vec::new();
    };
    pairings
        .iter()
        .filter(|pair| pair.baseline == *best)
        .filter_map(|pair| {
            Some(Ratio {
                best: best.clone(),
                best_level,
                subject: pair.subject.clone(),
                level: level(case, &pair.subject, metric)?.mean,
                to_best: ratio(case, best, &pair.subject, metric)?,
                metric,
            })
        })
        .collect()
}

/// The table of ratios; nothing for a plain comparison.
pub fn section(results: &Results) -> Vec<Node> {
    if !is_peer_run(results) {
        return Vec::new();
    }
    let mut rows = Vec::new();
    for case in &results.cases {
        rows.extend(ratios(results, case).into_iter().map(|found| {
            vec![
                case.case.title(),
                found.metric.title().into(),
                found.subject,
                measured(found.level, found.metric.unit()),
                format!(
                    "{}: {}",
                    found.best,
                    measured(found.best_level, found.metric.unit())
                ),
                format!(
                    "{:.2} [{:.2}, {:.2}]",
                    found.to_best.mean, found.to_best.low, found.to_best.high
                ),
                found.to_best.n.to_string(),
            ]
        }));
    }
    let head = [
        "work",
        "cost",
        "target",
        "its cost",
        "compared with",
        "ratio",
        "pairs",
    ];
    vec![
        Node::Heading(2, format!("Ratio to {}", reference(results))),
        Node::Paragraph(
            "Server CPU per operation, per token or per GiB, added latency per token, or memory per idle connection. \
             Below 1 is cheaper than what it is compared with; in brackets the 95 % interval."
                .into(),
        ),
        Node::table(head, rows),
    ]
}

/// The opening of a run against peers.
pub fn paragraph(results: &Results) -> String {
    let sentences: Vec<_> = results
        .cases
        .iter()
        .filter_map(|case| {
            let told: Vec<_> = ratios(results, case)
                .into_iter()
                .map(|found| {
                    let r = found.to_best;
                    format!(
                        "{} of {} {:.2} times [{:.2}, {:.2}] that of {}",
                        found.metric.title(),
                        found.subject,
                        r.mean,
                        r.low,
                        r.high,
                        found.best
                    )
                })
                .collect();
            (!told.is_empty()).then(|| format!("{}: {}.", case.case.title(), told.join(", ")))
        })
        .collect();
    format!(
        "Cost as a ratio to {}. {}",
        reference(results),
        sentences.join(" ")
    )
}
