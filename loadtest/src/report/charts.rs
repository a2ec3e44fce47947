//! The charts: latency distributions, bytes per handshake by direction, cost against round-trip time, throughput
//! against connections. Pure functions from results to SVG; a chart without data is not drawn.

use super::numbers::unit_for;
use super::svg::{Plot, Scale};
use crate::plan::{Load, Scenario};
use crate::results::findings::{Metric, latencies, level};
use crate::results::{CaseResult, Results};
use crate::stats::Interval;

/// All charts that have data, each with its caption.
pub fn all(results: &Results) -> Vec<(String, String)> {
    let mut charts = Vec::new();
    for scenario in [
        Scenario::FullHandshake,
        Scenario::H1Keepalive,
        Scenario::TokenStream,
    ] {
        let of_scenario =
            |case: &&CaseResult| case.case.scenario == scenario && case.case.link.is_direct();
        if let Some(case) = results.cases.iter().find(of_scenario) {
            charts.push((
                distribution(results, case),
                format!("Latency distribution: {}", case.case.title()),
            ));
        }
    }
    let optional = [
        (
            handshake_bytes(results),
            "Bytes per handshake, by direction",
        ),
        (
            against_rtt(results),
            "Full handshake against round-trip time, median with 95 % interval",
        ),
        (
            against_connections(results),
            "Requests per second against connections",
        ),
    ];
    charts.extend(
        optional
            .into_iter()
            .filter_map(|(svg, caption)| Some((svg?, caption.to_owned()))),
    );
    charts
}

/// Latency by percentile, the tail stretched: x is 1/(1 - p).
fn distribution(results: &Results, case: &CaseResult) -> String {
    const MARKS: [(f64, &str); 5] = [
        (2.0, "p50"),
        (10.0, "p90"),
        (100.0, "p99"),
        (1000.0, "p99.9"),
        (10_000.0, "p99.99"),
    ];
    let curves: Vec<(String, Vec<(f64, f64)>)> = ordered(results, &[case])
        .into_iter()
        .map(|target| {
            let histogram = latencies(case, &target);
            let deepest = (histogram.len() as f64).clamp(2.0, 10_000.0);
            let points = (0..=60)
                .map(|step| (deepest).powf(f64::from(step) / 60.0))
                .map(|x| {
                    (
                        x,
                        histogram.value_at_quantile(1.0 - 1.0 / x) as f64 / 1000.0,
                    )
                });
            (target, points.collect())
        })
        .collect();
    let values = curves
        .iter()
        .flat_map(|(_, points)| points.iter().map(|(_, y)| *y));
    let deepest = curves
        .iter()
        .flat_map(|(_, points)| points.iter().map(|(x, _)| *x))
        .fold(100.0, f64::max);
    let x = Scale::Log {
        low: 1.0,
        high: deepest,
    };
    let ticks = MARKS
        .iter()
        .filter(|(at, _)| *at <= deepest)
        .map(|(at, name)| (*at, (*name).to_owned()))
        .collect();
    // In the unit in which the smallest value reads well.
    let (factor, unit) = unit_for("us", values.clone().fold(f64::INFINITY, f64::min));
    let mut plot = Plot::new(
        x,
        Scale::decades(values.map(|value| value * factor)),
        "percentile",
        match unit {
            "µs" => "microseconds",
            "ms" => "milliseconds",
            _ => "seconds",
        },
        ticks,
    );
    for (series, (target, points)) in curves.iter().enumerate() {
        plot.key(series, target);
        let scaled: Vec<_> = points.iter().map(|(x, y)| (*x, y * factor)).collect();
        plot.line(series, &scaled);
    }
    plot.finish(&format!("Latency distribution of {}", case.case.title()))
}

/// Targets that any of these cases has, in the order of the plan, so that each keeps its colour.
fn ordered(results: &Results, cases: &[&CaseResult]) -> Vec<String> {
    let is_in = |name: &String| {
        let mut blocks = cases.iter().flat_map(|case| case.blocks_of(name));
        blocks.next().is_some()
    };
    let names = results.targets.iter().map(|target| target.name.clone());
    names.filter(is_in).collect()
}

fn handshake_bytes(results: &Results) -> Option<String> {
    let mut bars = Vec::new();
    for scenario in [
        Scenario::FullHandshake,
        Scenario::HelloRetryHandshake,
        Scenario::ResumedHandshake,
    ] {
        let Some(case) = results
            .cases
            .iter()
            .find(|case| case.case.scenario == scenario)
        else {
            continue;
        };
        for target in ordered(results, &[case]) {
            let up = level(case, &target, Metric::HandshakeUp)?.mean;
            let down = level(case, &target, Metric::HandshakeDown)?.mean;
            let short = match scenario {
                Scenario::FullHandshake => "full",
                Scenario::HelloRetryHandshake => "HRR",
                _ => "resumed",
            };
            bars.push((format!("{short}, {target}"), up, down));
        }
    }
    if bars.is_empty() {
        return None;
    }
    let x = Scale::Linear {
        low: 0.0,
        high: bars.len() as f64,
    };
    let y = Scale::from_zero(bars.iter().map(|(_, up, down)| up + down));
    let mut plot = Plot::new(x, y, "", "bytes", Vec::new());
    plot.key(0, "client to server");
    plot.key(1, "server to client");
    let width = (plot.x(1.0) - plot.x(0.0)) * 0.6;
    for (index, (name, up, down)) in bars.iter().enumerate() {
        let centre = plot.x(index as f64 + 0.5);
        plot.bar(0, centre, width, 0.0, *up, &format!("{name}: {up:.0} B up"));
        plot.bar(
            1,
            centre,
            width,
            *up,
            up + down,
            &format!("{name}: {down:.0} B down"),
        );
        let foot = plot.y(0.0);
        let (kind, target) = name.split_once(", ").unwrap_or((name, ""));
        plot.text(centre, foot + 16.0, "middle", kind);
        plot.text(centre, foot + 30.0, "middle", target);
        let head = plot.y(up + down) - 5.0;
        plot.text(centre, head, "middle", &format!("{:.0}", up + down));
    }
    Some(plot.finish("Bytes per handshake by direction"))
}

fn against_rtt(results: &Results) -> Option<String> {
    let cases: Vec<_> = results
        .cases
        .iter()
        .filter(|case| {
            case.case.scenario == Scenario::FullHandshake
                && matches!(case.case.load, Load::Closed { .. })
        })
        .filter(|case| case.case.link.bits_per_second == 0)
        .collect();
    let x = |case: &CaseResult| case.case.link.rtt_us as f64 / 1000.0;
    series_chart(
        results,
        &cases,
        x,
        Metric::Median,
        1e-3,
        ["round-trip time, milliseconds", "handshake, milliseconds"],
    )
}

fn against_connections(results: &Results) -> Option<String> {
    let cases: Vec<_> = results
        .cases
        .iter()
        .filter(|case| case.case.scenario == Scenario::H1Keepalive && case.case.link.is_direct())
        .filter(|case| matches!(case.case.load, Load::Closed { .. }) && case.case.up == 0)
        .filter(|case| case.case.down == Scenario::H1Keepalive.defaults().down)
        .collect();
    let x = |case: &CaseResult| f64::from(case.case.load.connections()).log2();
    series_chart(
        results,
        &cases,
        x,
        Metric::Rate,
        1.0,
        ["connections", "requests per second"],
    )
}

/// One line for each target over several cases; x values are made distinct, one case for each.
fn series_chart(
    results: &Results,
    cases: &[&CaseResult],
    x: impl Fn(&CaseResult) -> f64,
    metric: Metric,
    scale: f64,
    [x_title, y_title]: [&str; 2],
) -> Option<String> {
    // A target that failed one case has its place in the others.
    let names = ordered(results, cases);
    let curve = |name: &String| -> Vec<(f64, Interval)> {
        let mut points: Vec<_> = cases
            .iter()
            .filter_map(|case| Some((x(case), level(case, name, metric)?)))
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points.dedup_by(|a, b| (a.0 - b.0).abs() < 1e-9);
        points
    };
    let curves: Vec<_> = names.iter().map(curve).collect();
    let ends = curves
        .iter()
        .flatten()
        .map(|(x, _)| *x)
        .fold((f64::INFINITY, 0.0), |(l, h), x| (x.min(l), x.max(h)));
    if curves.iter().all(|points| points.len() < 2) || ends.0 >= ends.1 {
        return None;
    }
    let logarithmic = metric == Metric::Rate;
    let label = |x: f64| {
        if logarithmic {
            format!("{:.0}", x.exp2())
        } else {
            format!("{x:.0}")
        }
    };
    let mut marks: Vec<f64> = curves.iter().flatten().map(|(x, _)| *x).collect();
    marks.sort_by(f64::total_cmp);
    marks.dedup_by(|a, b| (*a - *b).abs() < 1e-9);
    let ticks = marks.into_iter().map(|x| (x, label(x))).collect();
    let pad = (ends.1 - ends.0) * 0.04;
    let x_scale = Scale::Linear {
        low: ends.0 - pad,
        high: ends.1 + pad,
    };
    let y_scale = Scale::from_zero(curves.iter().flatten().map(|(_, level)| level.high * scale));
    let mut plot = Plot::new(x_scale, y_scale, x_title, y_title, ticks);
    for (series, (name, points)) in names.iter().zip(&curves).enumerate() {
        plot.key(series, name);
        plot.line(
            series,
            &points
                .iter()
                .map(|(x, level)| (*x, level.mean * scale))
                .collect::<Vec<_>>(),
        );
        for (x, level) in points {
            plot.point(
                series,
                *x,
                level.mean * scale,
                level.low * scale,
                level.high * scale,
            );
        }
    }
    Some(plot.finish(&format!("{y_title} against {x_title}")))
}
