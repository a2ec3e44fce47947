//! What a report says and in which order: the paragraph, the warnings, the tables, the charts, then method and
//! limits. Rendering is left to the formats.

use super::figures::{pairings, summarise, time};
use super::node::Node;
use super::{charts, figures, peers, summary};
use crate::plan::Load;
use crate::results::findings::{Metric, latencies, quantile};
use crate::results::{Block, CaseResult, Results};

/// The whole report.
pub fn document(results: &Results) -> Vec<Node> {
    let mut nodes = vec![
        Node::Heading(1, title(results)),
        Node::Paragraph(summary::paragraph(results)),
    ];
    nodes.extend(summary::warnings(results).into_iter().map(Node::Warning));
    nodes.extend(peers::section(results));
    nodes.extend(glance(results));
    let drawn = charts::all(results);
    if !drawn.is_empty() {
        nodes.push(Node::Heading(2, "Charts".into()));
        nodes.extend(
            drawn
                .into_iter()
                .map(|(svg, caption)| Node::Chart { svg, caption }),
        );
    }
    nodes.push(Node::Heading(2, "Differences, case by case".into()));
    nodes.push(Node::Paragraph(
        "Each row is the mean of paired blocks; in brackets the 95 % confidence interval of the difference. \
         A difference is called one only where its interval leaves out zero."
            .into(),
    ));
    for case in &results.cases {
        nodes.extend(case_nodes(results, case));
    }
    nodes.push(Node::Heading(2, "Latency distributions".into()));
    nodes.push(distributions(results));
    nodes.push(Node::Heading(2, "Load on both sides".into()));
    nodes.push(load(results));
    nodes.extend(checks(results));
    nodes.extend(method(results));
    nodes
}

/// One row for each case: the figure it is told by, server CPU and bytes.
fn glance(results: &Results) -> Vec<Node> {
    // With one pair a case, roles say enough.
    let several = peers::is_peer_run(results);
    let named = |name: &str, level: String| {
        if several {
            format!("{name}: {level}")
        } else {
            level
        }
    };
    let mut rows = Vec::new();
    for case in &results.cases {
        for (baseline, subject) in pairings(results, case) {
            let metrics = Metric::for_scenario(case.case.scenario);
            let words = |metric| {
                summarise(case, &baseline, &subject, metric)
                    .map_or("-".into(), |told| told.verdict_cell())
            };
            let Some(first) = metrics
                .first()
                .and_then(|metric| summarise(case, &baseline, &subject, *metric))
            else {
                continue;
            };
            let cpu = [
                Metric::ServerCpuPerToken,
                Metric::ServerCpuPerGib,
                Metric::ServerCpu,
            ];
            let cpu = cpu.into_iter().find(|metric| metrics.contains(metric));
            let level = |level: f64| format!("{} {}", figures::number(level), first.metric.unit());
            rows.push(vec![
                case.case.title(),
                first.metric.title().to_owned(),
                named(&baseline, level(first.baseline.mean)),
                named(&subject, level(first.subject.mean)),
                first.verdict_cell(),
                cpu.map_or_else(|| "-".into(), words),
                if metrics.len() > 1 {
                    words(Metric::Wire)
                } else {
                    "-".into()
                },
            ]);
        }
    }
    let head = [
        "case",
        "figure",
        if several { "baseline" } else { "classical" },
        if several { "subject" } else { "hybrid" },
        "difference",
        "server CPU",
        "bytes on the wire",
    ];
    vec![
        Node::Heading(2, "At a glance".into()),
        Node::Table {
            head: head.map(str::to_owned).to_vec(),
            rows,
        },
    ]
}

/// The report's title.
pub fn title(results: &Results) -> String {
    let plan = &results.provenance.plan_name;
    if peers::has_several_baselines(results) {
        return format!("Beside other proxies: {plan}");
    }
    if peers::is_peer_run(results) {
        return format!("Servers side by side: {plan}");
    }
    format!("What hybrid costs: {plan}")
}

fn case_nodes(results: &Results, case: &CaseResult) -> Vec<Node> {
    let mut nodes = vec![Node::Heading(3, case.case.title())];
    let pairings = pairings(results, case);
    let several = pairings.len() > 1;
    for (baseline, subject) in pairings {
        let mut rows = Vec::new();
        for metric in Metric::for_scenario(case.case.scenario) {
            let Some(told) = summarise(case, &baseline, &subject, metric) else {
                continue;
            };
            rows.push(vec![
                metric.title().to_owned(),
                format!("{} {}", figures::number(told.baseline.mean), metric.unit()),
                format!("{} {}", figures::number(told.subject.mean), metric.unit()),
                told.difference_cell(),
                told.verdict_cell(),
                told.difference.n.to_string(),
            ]);
        }
        if several {
            nodes.push(Node::Paragraph(format!("{subject} against {baseline}:")));
        }
        let head = ["", &baseline, &subject, "difference", "in words", "pairs"]
            .map(str::to_owned)
            .to_vec();
        nodes.push(Node::Table { head, rows });
    }
    if let Some((low, high)) = case.case.scenario.quoted_overhead() {
        nodes.push(Node::Paragraph(quoted(results, case, low, high)));
    }
    nodes
}

/// The measured overhead beside the one usually quoted for this kind of traffic.
fn quoted(results: &Results, case: &CaseResult, low: f64, high: f64) -> String {
    let told = pairings(results, case).into_iter().next().and_then(|(baseline, subject)| {
        let wire = summarise(case, &baseline, &subject, Metric::Wire)?;
        let time = summarise(case, &baseline, &subject, Metric::Median)?;
        Some(format!(
            "Measured here: hybrid puts {} % more bytes on the wire than classical and takes {} (time: {}).",
            figures::signed(wire.percent()),
            time.difference_cell(),
            time.verdict_cell()
        ))
    });
    let told = told.unwrap_or_else(|| "It could not be measured on both sides here.".into());
    format!("The overhead usually quoted for this traffic is {low:.0} to {high:.0} %. {told}")
}

fn distributions(results: &Results) -> Node {
    let mut rows = Vec::new();
    for case in &results.cases {
        for target in case.targets() {
            let histogram = latencies(case, &target);
            let at = |q| quantile(&histogram, q).map_or_else(|| "-".into(), time);
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
    Node::Table {
        head: head.map(str::to_owned).to_vec(),
        rows,
    }
}

/// Who was the limit: cores kept busy by the server and by the generator.
fn load(results: &Results) -> Node {
    let cores = results
        .headroom
        .as_ref()
        .map_or(1, |headroom| headroom.cores);
    let mut rows = Vec::new();
    for case in &results.cases {
        for target in case.targets() {
            let sum = |of: fn(&Block) -> f64| case.blocks_of(&target).map(of).sum::<f64>();
            let time = sum(|block| block.elapsed_s);
            let server = sum(|block| block.server_cpu_s.unwrap_or(0.0)) / time;
            let own = sum(|block| block.generator_cpu_s) / time;
            let memory = case
                .blocks_of(&target)
                .filter_map(|block| block.server_rss)
                .max();
            rows.push(vec![
                case.case.title(),
                target.clone(),
                format!("{server:.2}"),
                if results.provenance.spins {
                    "spun".into()
                } else {
                    format!("{own:.2} of {cores}")
                },
                memory.map_or_else(
                    || "-".into(),
                    |bytes| format!("{} MiB", figures::number(bytes as f64 / 1_048_576.0)),
                ),
            ]);
        }
    }
    let head = [
        "case",
        "target",
        "server, cores busy",
        "generator, cores busy",
        "server, most memory",
    ];
    Node::Table {
        head: head.map(str::to_owned).to_vec(),
        rows,
    }
}

fn checks(results: &Results) -> Vec<Node> {
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
    ]
    .map(str::to_owned)
    .to_vec();
    vec![
        Node::Heading(2, "Bytes: the client's count against the server's".into()),
        Node::Table {
            head,
            rows: rows.collect(),
        },
    ]
}

fn method(results: &Results) -> Vec<Node> {
    let p = &results.provenance;
    let mut items = vec![
        format!("Started {} as `hybridge-loadtest {}`, version {} ({}), shard {}.", p.started, p.command.join(" "), p.version, p.profile, p.shard),
        format!("Machine: {}, {} cores, {} MiB, Linux {}; CPU flags {}.", p.machine.cpu, p.machine.cores, p.machine.memory_mib, p.machine.kernel, p.machine.cpu_flags.join(" ")),
        format!("Placement: {}.", p.pinning),
        format!("Order of blocks: random within each pair, seed {}. Warm-up is run before each block and discarded.", p.seed),
        "Intervals: bootstrap of the paired differences, 4000 resamples, quantiles widened to Student's t for few pairs.".into(),
        "Every connection's key-exchange group and handshake kind was verified; another one would have ended the run.".into(),
        "Bytes are those below TLS, record headers included, TCP and IP headers not.".into(),
        "Server CPU is that of its process, children and threads, from /proc where possible; where it is `hybridge demo`, the embedded stub is in it.".into(),
    ];
    if results
        .cases
        .iter()
        .any(|case| matches!(case.case.load, Load::Open { .. }))
    {
        items.push("Open load: operations are due at a constant rate, latency counts from the scheduled moment.".into());
    }
    items.extend(results.links.iter().map(|link| {
        format!(
            "Relay for {}: round trip {:.0} us in the median, {:.0} us at p95, {:.0} us without it; {:+.0} us off{}.",
            link.link,
            link.median_rtt_us,
            link.p95_rtt_us,
            link.bare_rtt_us,
            link.excess_us(),
            link.measured_mbit.map_or_else(String::new, |mbit| format!("; {mbit:.1} Mbit/s measured"))
        )
    }));
    if let Some(headroom) = &results.headroom {
        items.push(format!(
            "The generator alone, plain HTTP to a stub of its own: {} in the median, {} at p99, {} requests per second with 16 connections on {} core(s), stub included.",
            time(headroom.null_p50_us),
            time(headroom.null_p99_us),
            figures::number(headroom.null_per_second),
            headroom.cores
        ));
    }
    items.extend(
        p.versions
            .iter()
            .map(|(name, version)| format!("{name}: {version}.")),
    );
    vec![
        Node::Heading(2, "Method".into()),
        Node::List(items),
        Node::Heading(2, "Limits".into()),
        Node::List(vec![
            "Client and server share one machine: caches and memory bandwidth are common, the network is the kernel's loopback.".into(),
            "The emulated link delays and paces; it loses nothing and has no slow start, so the effect of a larger ClientHello on the congestion window does not show.".into(),
            "The figures hold for this machine and these versions; repeat the command on yours.".into(),
        ]),
        Node::Heading(2, "Plan".into()),
        Node::Code(p.plan.clone()),
    ]
}
