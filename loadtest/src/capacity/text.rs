//! The answer as Markdown.

use std::fmt::Write as _;

use super::agreement::Row;
use super::costs::{Costs, Work};
use super::model::{Load, Needs, pods_for};
use crate::report::method::STUB;
use crate::report::numbers::{number, plural, signed};
use crate::results::Machine;

/// What was asked of a fleet.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    pub pods: u32,
    /// Of each pod.
    pub load: Load,
    /// CPU limit of a pod, cores.
    pub limit: f64,
    /// Share of the limit that the autoscaler aims at.
    pub utilisation: f64,
}

/// One core: what it can do, and what a connection takes.
pub fn per_core(costs: &Costs, machine: &Machine, tokens_per_stream: f64) -> String {
    let mut out = format!(
        "# Capacity: {}\n\nMeasured on {}. `busy` is the cheapest case measured, of a server under load; `quiet` the \
         dearest, of one that is woken for each piece of work alone.\n\n| work | CPU, busy | CPU, quiet | a core does, a second |\n| --- | ---: | ---: | ---: |\n",
        costs.target, machine.cpu
    );
    for work in Work::ALL {
        match costs.cpu(work) {
            Some(cost) => writeln!(
                out,
                "| {} | {} µs | {} | {} |",
                work.title(),
                number(cost.busy),
                cost.quiet.map_or_else(
                    || "not measured".to_owned(),
                    |quiet| format!("{} µs", number(quiet))
                ),
                number(1e6 / cost.busy)
            ),
            None => writeln!(out, "| {} | not measured | | |", work.title()),
        }
        .ok();
    }
    if let Some(cost) = costs.cpu(Work::Token) {
        let streams = 1e6 / cost.busy / tokens_per_stream;
        writeln!(
            out,
            "\nStreams that a core carries at {} tokens a second each: {}.",
            shown(tokens_per_stream),
            number(streams)
        )
        .ok();
    }
    if let Some(kib) = costs.connection_kib {
        writeln!(
            out,
            "\nMemory of a thousand idle connections: {} MiB.",
            number(kib * 1000.0 / 1024.0)
        )
        .ok();
    }
    if let Some(base) = costs.base_mib {
        writeln!(
            out,
            "\nMemory of the process without them: {} MiB.",
            number(base)
        )
        .ok();
    }
    out
}

/// What must be known of the run before these costs are trusted.
pub fn notes(warnings: &[String]) -> String {
    let note = |warning: &String| format!("\n> **Note:** {warning}\n");
    warnings.iter().map(note).collect()
}

/// Of what the costs are: a demo, which `run full` and `compare` measure, is more than a sidecar.
pub fn whole_process() -> String {
    format!(
        "CPU and memory are those of the server's process; {STUB}, and a sidecar alone needs less: \
         a plan with `[[target]]`s measures one."
    )
}

/// What the pods of a fleet pay, and how many of them it takes.
pub fn fleet(fleet: &Fleet, needs: &Needs) -> String {
    let pods = f64::from(fleet.pods);
    let Load {
        handshakes,
        resumed,
        requests,
        http2_requests,
        tokens,
        connections,
    } = fleet.load;
    let mut out = format!(
        "\n## {}\n\nEach with, a second, {} full and {} resumed handshakes, {} HTTP/1.1 and {} HTTP/2 requests, {} tokens; {} open connections.\n\n\
         | | a pod | the fleet |\n| --- | ---: | ---: |\n",
        plural(fleet.pods, "pod"),
        shown(handshakes),
        shown(resumed),
        shown(requests),
        shown(http2_requests),
        shown(tokens),
        shown(connections)
    );
    let mut row = |name: &str, value: Option<f64>, factor: f64, unit: [&str; 2]| {
        match value {
            Some(value) => writeln!(
                out,
                "| {name} | {} {} | {} {} |",
                number(value * factor),
                unit[0],
                number(value * pods),
                unit[1]
            ),
            None => writeln!(out, "| {name} | not measured | |"),
        }
        .ok();
    };
    row(
        "CPU, busy",
        Some(needs.cores_busy),
        1000.0,
        ["millicores", "cores"],
    );
    row(
        "CPU, quiet (the most)",
        needs.cores_quiet,
        1000.0,
        ["millicores", "cores"],
    );
    row(
        "memory",
        needs.memory_mib.map(|mib| mib / 1024.0),
        1024.0,
        ["MiB", "GiB"],
    );
    row(
        "bytes of full handshakes",
        needs.handshake_bytes.map(|bytes| bytes / 1_048_576.0),
        1024.0,
        ["KiB/s", "MiB/s"],
    );
    out.push_str(&autoscaling(fleet, needs.cores_busy * pods));
    out
}

fn autoscaling(fleet: &Fleet, total: f64) -> String {
    let least = pods_for(total, fleet.limit, fleet.utilisation);
    let aim = fleet.utilisation * 100.0;
    let pods = plural(fleet.pods, "pod");
    let one = fleet.pods == 1;
    let verdict = if f64::from(fleet.pods) >= least {
        format!(
            "The {pods} {} {} times what that takes: their number follows the model servers, not the sidecars.",
            if one { "has" } else { "have" },
            shown(f64::from(fleet.pods) / least)
        )
    } else {
        format!(
            "{pods} {} too few: a HorizontalPodAutoscaler on the container's CPU would make them {}.",
            if one { "is" } else { "are" },
            shown(least)
        )
    };
    format!(
        "\n## Autoscaling\n\n- At a CPU limit of {limit} (cores), used to {aim} %, the sidecars' work needs {}: \
         ceil({} cores / ({limit} x {})).\n- {verdict}\n- `desired = ceil(pods x utilisation / {aim} %)`, of the metric \
         ContainerResource for the container `hybridge`.\n",
        plural(least as u64, "pod"),
        shown(total),
        shown(fleet.utilisation),
        limit = shown(fleet.limit),
        aim = shown(aim),
    )
}

/// As `number`, but counts and what was asked for have no decimals that say nothing.
fn shown(value: f64) -> String {
    let text = number(value);
    match text.split_once('.') {
        Some((whole, rest)) if rest.bytes().all(|digit| digit == b'0') => whole.to_owned(),
        Some((whole, rest)) => format!("{whole}.{}", rest.trim_end_matches('0')),
        None => text,
    }
}

/// The model against another server of the file.
pub fn agreement(target: &str, other: &str, rows: &[Row]) -> String {
    let mut out = format!(
        "\n## The model against a measurement\n\nCores of \"{other}\", predicted from its rate and the costs of \"{target}\".\n\n\
         | case | predicted | measured | error |\n| --- | ---: | ---: | ---: |\n"
    );
    for row in rows {
        writeln!(
            out,
            "| {} | {} | {} | {} % |",
            row.title,
            number(row.predicted),
            number(row.measured),
            signed(row.error_percent())
        )
        .ok();
    }
    out
}
