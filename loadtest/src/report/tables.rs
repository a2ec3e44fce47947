//! The tables that stand behind the differences: distributions, load on both sides, the count of bytes.

use hybridge_page::Node;

use super::numbers::{number, time};
use crate::results::conditions::{Conditions, pressed};
use crate::results::findings::{latencies, quantile, reaches};
use crate::results::{Block, Results};

pub(super) fn distributions(results: &Results) -> Node {
    let mut rows = Vec::new();
    for case in &results.cases {
        for target in case.targets() {
            let histogram = latencies(case, &target);
            let at = |q| {
                let found =
                    quantile(&histogram, q).filter(|_| q >= 1.0 || reaches(histogram.len(), q));
                found.map_or_else(|| "-".into(), time)
            };
            let errors: u64 = case
                .blocks_of(&target)
                .map(|block| block.errors + block.unserved)
                .sum();
            let mut row = vec![case.case.title(), target, histogram.len().to_string()];
            row.extend([
                at(0.5),
                at(0.9),
                at(0.99),
                at(0.999),
                at(1.0),
                errors.to_string(),
            ]);
            rows.push(row);
        }
    }
    let head = [
        "case",
        "target",
        "operations",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max",
        "failed or unserved",
    ];
    Node::table(head, rows)
}

/// Who was the limit: cores kept busy by the server and by the generator.
pub(super) fn load(results: &Results) -> Node {
    let cores = results
        .headroom
        .as_ref()
        .map_or(1, |headroom| headroom.cores);
    let mut rows = Vec::new();
    for case in &results.cases {
        for target in case.targets() {
            let sum = |of: fn(&Block) -> f64| case.blocks_of(&target).map(of).sum::<f64>();
            let time = sum(|block| block.elapsed_s);
            // Of the blocks in which it was seen.
            let seen = case.blocks_of(&target).filter_map(|block| {
                let cpu = block.server_cpu_s?;
                Some((cpu, block.elapsed_s))
            });
            let (cpu, seen) = seen.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            let own = sum(|block| block.generator_cpu_s) / time;
            let memory = case
                .blocks_of(&target)
                .filter_map(|block| block.server_rss)
                .max();
            rows.push(vec![
                case.case.title(),
                target.clone(),
                if seen > 0.0 {
                    format!("{:.2}", cpu / seen)
                } else {
                    "-".into()
                },
                if results.provenance.spins {
                    "spun".into()
                } else {
                    format!("{own:.2} of {cores}")
                },
                memory.map_or_else(
                    || "-".into(),
                    |bytes| format!("{} MiB", number(bytes as f64 / 1_048_576.0)),
                ),
                match pressed(case.rounds.iter()) {
                    (_, 0) => "-".into(),
                    (under, of) => format!("{under} of {of}"),
                },
            ]);
        }
    }
    let head = [
        "case",
        "target",
        "server, cores busy",
        "generator, cores busy",
        "server, most memory",
        "rounds under pressure",
    ];
    Node::table(head, rows)
}

pub(super) fn checks(results: &Results) -> Vec<Node> {
    if results.checks.is_empty() {
        return Vec::new();
    }
    let rows = results.checks.iter().map(|check| {
        let verdict = if check.client == check.server {
            "equal".to_owned()
        } else {
            format!(
                "{:+}",
                check.server.cast_signed() - check.client.cast_signed()
            )
        };
        vec![
            check.target.clone(),
            check.what.clone(),
            check.client.to_string(),
            check.server.to_string(),
            verdict,
        ]
    });
    let head = [
        "target",
        "count",
        "client",
        "server's metrics",
        "server minus client",
    ];
    vec![
        Node::Heading(2, "Bytes: the client's count against the server's".into()),
        Node::table(head, rows),
    ]
}

/// What the machine did meanwhile, the middle and the worst round of each case.
pub(super) fn rounds(results: &Results) -> Vec<Node> {
    let known: Vec<_> = results
        .cases
        .iter()
        .filter(|case| !case.rounds.is_empty())
        .collect();
    if known.is_empty() {
        return Vec::new();
    }
    let rows = known.iter().map(|case| {
        let span = |of: &dyn Fn(&Conditions) -> Option<f64>, unit: &str| {
            let mut values: Vec<f64> = case.rounds.iter().filter_map(of).collect();
            values.sort_by(f64::total_cmp);
            match values.as_slice() {
                [] => "-".to_owned(),
                values => format!(
                    "{} to {}{unit}",
                    number(values[0]),
                    number(values[values.len() - 1])
                ),
            }
        };
        vec![
            case.case.title(),
            span(&|round| Some(round.load), ""),
            span(&|round| round.pressure, " %"),
            span(&|round| round.steal, " %"),
            span(&|round| round.others, " %"),
            span(&|round| round.mhz, " MHz"),
            span(&|round| round.throttled.map(|events| events as f64), ""),
            span(&|round| round.ceiling, "/s"),
        ]
    });
    let head = [
        "case",
        "load average",
        "CPU pressure",
        "stolen",
        "other processes",
        "clock",
        "throttled",
        "generator's ceiling",
    ];
    vec![
        Node::Heading(2, "The machine, round by round".into()),
        Node::Paragraph(
            "From the lowest to the highest round of each case. Pressure is time in which some task waited for a core, \
             this run's own included; stolen is what the hypervisor took; other processes are those that do not belong \
             to the run. The ceiling is plain HTTP to a stub of the generator's own, just before the round."
                .into(),
        ),
        Node::table(head, rows),
    ]
}
