//! How the run was made and what its figures do not say.

use hybridge_page::Node;

use super::numbers::{number, time};
use crate::plan::{Load, Scenario, Target};
use crate::results::{Block, CaseResult, Results};
use crate::stats::correction;

/// What a cost of the demo is of.
pub const STUB: &str = "where it is `hybridge demo`, the embedded stub is in it";

pub(super) fn method(results: &Results) -> Vec<Node> {
    let p = &results.provenance;
    let with_tls = results.targets.iter().any(Target::has_tls);
    let mut items = vec![
        format!("Started {} as `hybridge-loadtest {}`, version {} ({}), shard {}.", p.started, p.command.join(" "), p.version, p.profile, p.shard),
        format!("Machine: {}, {} cores, {} MiB, Linux {}; CPU flags {}.", p.machine.cpu, p.machine.cores, p.machine.memory_mib, p.machine.kernel, p.machine.cpu_flags.join(" ")),
        format!("Placement: {}.", p.pinning),
        format!("Order of blocks: random within each pair, seed {}.{}", p.seed, warmup(results)),
        "Connections are drawn anew in every block, so that where one lands is no constant of its target.".into(),
        "Intervals: bootstrap of the paired differences, 4000 resamples, quantiles widened to Student's t for few pairs, below six pairs Student's t itself; correlated rounds are resampled in blocks.".into(),
        format!("Many figures: {}. A figure whose two halves of the run contradict each other is not called a difference.", correction::NAME),
    ];
    if with_tls {
        items.push("The key-exchange group and the handshake kind of every TLS connection were verified; another one would have ended the run.".into());
        items.push(
            "Bytes are those below TLS, record headers included, TCP and IP headers not.".into(),
        );
    } else {
        items.push("No target has TLS: no key exchange was verified. Bytes are those that TCP carries, without its and IP's headers.".into());
    }
    if blocks(results).any(|block| block.server_cpu_s.is_some()) {
        items.push(format!("Server CPU is that of its process, children and threads, from /proc where possible; {STUB}."));
    }
    if results
        .cases
        .iter()
        .any(|case| matches!(case.case.load, Load::Open { .. }))
    {
        items.push("Open load: operations are due at a constant rate, latency counts from the scheduled moment.".into());
    }
    items.extend(results.links.iter().map(|link| {
        format!(
            "Relay for {}: round trip {:.0} µs in the median, {:.0} µs at p95, {:.0} µs without it; {:+.0} µs off{}.",
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
            number(headroom.null_per_second),
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
        Node::List(limits(results)),
        Node::Heading(2, "Plan".into()),
        Node::Code(p.plan.clone()),
    ]
}

/// What the figures do not say: of the network, of the emulated link, of other machines.
fn limits(results: &Results) -> Vec<String> {
    let mut limits = Vec::new();
    let far: Vec<&str> = results
        .targets
        .iter()
        .filter(|target| !target.is_on_loopback())
        .map(|target| target.name.as_str())
        .collect();
    if far.is_empty() {
        limits.push("Client and server share one machine: caches and memory bandwidth are common, the network is the kernel's loopback.".into());
    } else {
        limits.push(format!(
            "Not at an address of this machine's loopback: {}. The network to them, and who else uses it, is in latencies and rates.",
            far.join(", ")
        ));
    }
    if !results.links.is_empty() {
        limits.push("The emulated link delays and paces; it loses nothing and has no slow start, so the effect of a larger ClientHello on the congestion window does not show.".into());
    }
    limits.push(
        "The figures hold for this machine and these versions; repeat the command on yours.".into(),
    );
    limits
}

fn warmup(results: &Results) -> &'static str {
    let warms_up =
        |case: &CaseResult| case.case.warmup_ms > 0 && case.case.scenario != Scenario::Idle;
    if results.cases.iter().any(warms_up) {
        " Warm-up is run before each block and discarded."
    } else {
        ""
    }
}

fn blocks(results: &Results) -> impl Iterator<Item = &Block> {
    results.cases.iter().flat_map(|case| &case.blocks)
}
