//! The paragraph a manager can read: what hybrid costs per handshake, per request, per token, per GiB. And what
//! must be known before it is believed.

use super::figures::{Figure, number, pairings, signed, summarise, time};
use super::peers;
use crate::plan::{Load, Scenario};
use crate::results::findings::Metric;
use crate::results::{CaseResult, Results};
use crate::stats::Verdict;

/// The generator counts as the ceiling above this share of its cores.
const BUSY: f64 = 0.9;

/// One paragraph; says less where less was measured.
pub fn paragraph(results: &Results) -> String {
    if peers::is_peer_run(results) {
        return peers::paragraph(results);
    }
    let sentences: Vec<_> = [
        handshake(results),
        request(results),
        token(results),
        gibibyte(results),
    ]
    .into_iter()
    .flatten()
    .collect();
    if sentences.is_empty() {
        return "Too little was measured for a summary; the tables below show what there is."
            .into();
    }
    let pairs = results.cases.iter().map(|case| case.case.rounds);
    let (fewest, most) = (pairs.clone().min().unwrap_or(0), pairs.max().unwrap_or(0));
    let pairs = if fewest == most {
        fewest.to_string()
    } else {
        format!("{fewest} to {most}")
    };
    let note = format!("In brackets are 95 % confidence intervals, from {pairs} pairs of blocks.");
    format!("{} {note}", sentences.join(" "))
}

/// The case a sentence rests on: over loopback, closed load, fewest connections.
fn plainest(results: &Results, scenario: Scenario) -> Option<&CaseResult> {
    let fits = |case: &&CaseResult| {
        case.case.scenario == scenario && matches!(case.case.load, Load::Closed { .. })
    };
    let cases = results.cases.iter().filter(fits);
    cases.min_by_key(|case| (case.case.link.rtt_us, case.case.load.connections()))
}

fn summary_of(results: &Results, case: &CaseResult, metric: Metric) -> Option<Figure> {
    let (baseline, subject) = pairings(results, case).into_iter().next()?;
    summarise(case, &baseline, &subject, metric)
}

fn handshake(results: &Results) -> Option<String> {
    let case = plainest(results, Scenario::FullHandshake)?;
    let latency = summary_of(results, case, Metric::Median)?;
    let groups: Vec<_> = results
        .targets
        .iter()
        .map(|target| target.expect.name())
        .collect();
    let mut text = format!(
        "A full handshake with {} takes {} where one with {} takes {}: {}",
        groups.first()?,
        time(latency.subject.mean),
        groups.get(1)?,
        time(latency.baseline.mean),
        change(&latency, "longer", "shorter"),
    );
    let (up, down) = (
        summary_of(results, case, Metric::HandshakeUp)?,
        summary_of(results, case, Metric::HandshakeDown)?,
    );
    text += &format!(
        ", and {} more bytes ({} up, {} down)",
        number(up.difference.mean + down.difference.mean),
        signed(up.difference.mean),
        signed(down.difference.mean)
    );
    if let Some(cpu) = summary_of(results, case, Metric::ServerCpu) {
        text += &format!("; server CPU: {}", change(&cpu, "more", "less"));
    }
    Some(text + ".")
}

fn request(results: &Results) -> Option<String> {
    let case = plainest(results, Scenario::H1Keepalive)?;
    let latency = summary_of(results, case, Metric::Median)?;
    let mut text = format!(
        "A request on an open connection takes {}: {}",
        time(latency.subject.mean),
        change(&latency, "longer", "shorter")
    );
    if let Some(cpu) = summary_of(results, case, Metric::ServerCpu) {
        text += &format!("; server CPU: {}", change(&cpu, "more", "less"));
    }
    Some(text + ".")
}

fn token(results: &Results) -> Option<String> {
    let case = plainest(results, Scenario::TokenStream)?;
    let gap = summary_of(results, case, Metric::TokenGap)?;
    let first = summary_of(results, case, Metric::FirstToken)?;
    Some(format!(
        "From one streamed token to the next: {}; to the first one: {}.",
        change(&gap, "longer", "shorter"),
        change(&first, "longer", "shorter")
    ))
}

fn gibibyte(results: &Results) -> Option<String> {
    const BULK: [Scenario; 5] = [
        Scenario::Download,
        Scenario::Upload,
        Scenario::TcpDownload,
        Scenario::TcpUpload,
        Scenario::GradientExchange,
    ];
    let case = BULK
        .into_iter()
        .find_map(|scenario| plainest(results, scenario))?;
    let wire = summary_of(results, case, Metric::Wire)?;
    let mut text = format!(
        "A GiB of payload puts {} % more bytes on the wire than classical ({} % beyond the payload in both)",
        signed(wire.percent()),
        number(summary_of(results, case, Metric::Overhead)?.subject.mean),
    );
    if let Some(cpu) = summary_of(results, case, Metric::ServerCpuPerGib) {
        text += &format!(
            " and takes {} ms of server CPU: {}",
            number(cpu.subject.mean),
            change(&cpu, "more", "less")
        );
    }
    Some(text + ".")
}

/// `62 us longer (55 to 70; +18 %)`, or that no difference was seen.
fn change(told: &Figure, more: &str, less: &str) -> String {
    let unit = told.metric.unit();
    let d = told.difference;
    let words = |word: &str, sign: f64| {
        let (low, high) = if sign > 0.0 {
            (d.low, d.high)
        } else {
            (-d.high, -d.low)
        };
        format!(
            "{} {unit} {word} ({} to {}; {} %)",
            number(d.mean * sign),
            number(low),
            number(high),
            signed(told.percent()),
        )
    };
    match told.verdict {
        Verdict::More => words(more, 1.0),
        Verdict::Less => words(less, -1.0),
        Verdict::Equivalent => format!("equivalent, within ±{} %", number(told.bound_percent())),
        Verdict::Unsteady => "no difference called, as the halves of the run disagree".to_owned(),
        Verdict::Open => format!(
            "no difference seen, within ±{} %",
            number(told.bound_percent())
        ),
    }
}

/// What stands above the tables: the run's own warnings, a debug build, a generator at its limit, errors.
pub fn warnings(results: &Results) -> Vec<String> {
    let mut warnings = results.warnings.clone();
    if results.provenance.interrupted {
        warnings.push("The run was interrupted; only what had been measured is here.".into());
    }
    if results.provenance.profile == "debug" {
        warnings.push("Made with a debug build: the figures show that the tool works, not what anything costs.".into());
    }
    let busy = busy_cases(results);
    if !busy.is_empty() {
        warnings.push(format!(
            "The generator used more than {:.0} % of its own cores in: {}. Rates and latencies under that load are \
             bounds set by the generator; bytes and server CPU per operation are not affected.",
            BUSY * 100.0,
            busy.join("; ")
        ));
    }
    let failed: u64 = results
        .cases
        .iter()
        .flat_map(|case| &case.blocks)
        .map(|block| block.errors)
        .sum();
    if failed > 0 {
        warnings.push(format!(
            "{failed} operations failed and are left out of the latencies."
        ));
    }
    if results
        .checks
        .iter()
        .any(|check| check.client != check.server)
    {
        warnings.push(
            "The client's and the server's byte counts disagree; see the table of bytes.".into(),
        );
    }
    warnings
}

/// Cases under closed load in which the generator's cores were busy.
fn busy_cases(results: &Results) -> Vec<String> {
    if results.provenance.spins {
        return Vec::new();
    }
    let cores = results
        .headroom
        .as_ref()
        .map_or(1, |headroom| headroom.cores) as f64;
    let is_busy = |case: &&CaseResult| {
        let used: f64 = case.blocks.iter().map(|block| block.generator_cpu_s).sum();
        let time: f64 = case.blocks.iter().map(|block| block.elapsed_s).sum();
        used > BUSY * cores * time
    };
    results
        .cases
        .iter()
        .filter(is_busy)
        .map(|case| case.case.title())
        .collect()
}
