//! `capacity` on the recorded results: what it says is what was measured, and it says so where nothing was.

use std::path::{Path, PathBuf};

use crate::support::program::{assert_told, tool};
use hybridge_loadtest::capacity::costs::Work;
use hybridge_loadtest::capacity::model::pods_for;
use hybridge_loadtest::capacity::{Costs, Load, agreement, missing};
use hybridge_loadtest::plan::Scenario;
use hybridge_loadtest::results::findings::{Metric, level};
use hybridge_loadtest::results::{Results, file};

fn recorded(run: &str) -> PathBuf {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    results.join("2026-11-27-2-core-vm").join(run)
}

fn read(run: &str) -> Results {
    file::load(&recorded(run)).unwrap()
}

#[test]
fn costs_are_the_recorded_levels() {
    let results = read("peers");
    let costs = Costs::of(&results, "hybridge http");
    let case = |scenario| {
        let mut cases = results.cases.iter();
        cases.find(|case| case.case.scenario == scenario).unwrap()
    };
    for (work, metric) in [
        (Work::FullHandshake, Metric::ServerCpu),
        (Work::ResumedHandshake, Metric::ServerCpu),
        (Work::Http1Request, Metric::ServerCpu),
        (Work::Token, Metric::ServerCpuPerToken),
    ] {
        let level = level(case(work.scenario()), "hybridge http", metric).unwrap();
        let cost = costs.cpu(work).unwrap();
        assert!((cost.busy - level.mean).abs() < 1e-9, "{work:?}");
    }
    assert_eq!(costs.cpu(Work::Http2Request), None);
    let idle = level(case(Scenario::Idle), "hybridge http", Metric::IdleMemory).unwrap();
    assert_eq!(costs.connection_kib, Some(idle.mean));
}

/// A quiet server pays more for each piece than a busy one, and larger bodies or slower links are other work.
#[test]
fn costs_range_over_loads_and_not_over_links_or_sizes() {
    let costs = Costs::of(&read("full"), "hybrid");
    let request = costs.cpu(Work::Http1Request).unwrap();
    assert!(request.busy < request.quiet.unwrap(), "{request:?}");
    let handshake = costs.cpu(Work::FullHandshake).unwrap();
    assert!(
        handshake.quiet.unwrap() < 300.0,
        "with a round trip of 20 ms it is 338: {handshake:?}"
    );
}

#[test]
fn what_a_report_says_first_is_said_of_a_fleet_too() {
    let results = recorded("workers");
    let arguments = [
        "capacity",
        results.to_str().unwrap(),
        "--target",
        "1 worker",
    ];
    let output = tool(Path::new("."), &arguments);
    assert_told(&output, 0, &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("\n> **Note:** The generator used"), "{text}");
}

/// `run full`, which docs/capacity.md gives as the command to measure with, measures a demo.
#[test]
fn the_stub_of_a_demo_is_told_of() {
    let note = "\n> **Note:** CPU and memory are those of the server's process; where it is `hybridge demo`, the embedded stub is in it, ";
    for run in ["full", "peers"] {
        let results = recorded(run);
        let output = tool(Path::new("."), &["capacity", results.to_str().unwrap()]);
        assert_told(&output, 0, &[]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(note), "{run}: {text}");
    }
}

#[test]
fn needs_add_up() {
    let costs = Costs::of(&read("peers"), "hybridge http");
    let load = Load {
        handshakes: 100.0,
        tokens: 1000.0,
        connections: 1000.0,
        ..Load::default()
    };
    let needs = load.needs(&costs).unwrap();
    let cpu = |work| costs.cpu(work).unwrap().busy;
    let expected = (100.0 * cpu(Work::FullHandshake) + 1000.0 * cpu(Work::Token)) / 1e6;
    assert!((needs.cores_busy - expected).abs() < 1e-12);
    let memory = costs.base_mib.unwrap() + costs.connection_kib.unwrap() * 1000.0 / 1024.0;
    assert!((needs.memory_mib.unwrap() - memory).abs() < 1e-9);
    let twice = Load {
        handshakes: 200.0,
        tokens: 2000.0,
        ..load
    };
    assert!((twice.needs(&costs).unwrap().cores_busy - 2.0 * expected).abs() < 1e-12);
    let unmeasured = Load {
        http2_requests: 1.0,
        ..load
    };
    let refused = unmeasured.needs(&costs).unwrap_err().to_string();
    assert!(refused.contains("h2-keepalive"), "{refused}");
}

#[test]
fn pods_are_whole_and_at_least_one() {
    for (cores, limit, utilisation, pods) in [
        (0.0, 1.0, 0.7, 1.0),
        (0.7, 1.0, 0.7, 1.0),
        (0.71, 1.0, 0.7, 2.0),
        (14.0, 0.5, 0.5, 56.0),
    ] {
        let found = pods_for(cores, limit, utilisation);
        assert!(
            (found - pods).abs() < 1e-9,
            "{cores} {limit} {utilisation}: {found}"
        );
    }
}

/// The recorded run of one worker on one core and two workers on two: the costs of the first predict the second to
/// within what docs/capacity.md says.
#[test]
fn two_workers_need_what_the_model_says() {
    let results = read("workers");
    let costs = Costs::of(&results, "1 worker");
    let rows = agreement::rows(&results, &costs, "2 workers");
    assert_eq!(rows.len(), 3, "{rows:?}");
    for row in rows {
        assert!(row.error_percent().abs() < 10.0, "{row:?}");
    }
}

#[test]
fn the_program_says_what_a_fleet_needs() {
    let folder = tempfile::tempdir().unwrap();
    let results = recorded("peers");
    let results = results.to_str().unwrap();
    let output = tool(
        folder.path(),
        &[
            "capacity",
            results,
            "--target",
            "hybridge http",
            "--pods",
            "10000",
            "--handshakes",
            "0.5",
            "--tokens",
            "200",
            "--connections",
            "50",
        ],
    );
    assert_told(&output, 0, &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    for words in [
        "| full handshake | 127 µs | not measured | 7,856 |",
        "| HTTP/2 request | not measured |",
        "- Not measured, HTTP/2 request: no case without an emulated link has it; run a plan that has, such as \
         `hybridge-loadtest run full --scenario h2-keepalive --rtt 0`.",
        "- Not measured, quiet of full handshake, resumed handshake, HTTP/1.1 request, streamed token: one load is not enough",
        "## 10,000 pods",
        "needs 56 pods: ceil(38.5 cores / (1 x 0.7))",
        "The 10,000 pods have 179 times what that takes",
        "| CPU, busy |",
        "desired = ceil(pods x utilisation / 70 %)",
    ] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
}

/// A run without a look at the server, and one that is complete.
#[test]
fn what_was_not_measured_is_said_with_the_flags_that_would() {
    let mut results = read("full");
    let told = |results: &Results| missing(results, &Costs::of(results, "hybrid"));
    assert_eq!(told(&results).lines().count(), 2, "{}", told(&results));
    for block in results.cases.iter_mut().flat_map(|case| &mut case.blocks) {
        block.server_cpu_s = None;
        block.server_rss = None;
        block.rss_added = None;
    }
    let unseen = told(&results);
    for what in ["full handshake", "streamed token", "memory of the process"] {
        let words = format!("- Not measured, {what}: the server was not observed: give its --pid");
        assert!(unseen.contains(&words), "{words} is not in {unseen}");
    }
    results.cases.clear();
    let nothing = told(&results);
    let words = "memory of an idle connection: no case without an emulated link has it; run a plan that has, such as \
                 `hybridge-loadtest run full --scenario idle";
    assert!(nothing.contains(words), "{nothing}");
    assert!(!nothing.contains("quiet of"), "{nothing}");
}

#[test]
fn the_program_refuses_what_it_cannot_answer() {
    let folder = tempfile::tempdir().unwrap();
    let results = recorded("peers");
    let results = results.to_str().unwrap();
    for (arguments, message) in [
        (vec!["--target", "banana"], "\"hybridge http\""),
        (vec!["--against", "banana"], "--against"),
        (vec!["--pods", "3"], "--handshakes"),
        (
            vec![
                "--target",
                "hybridge http",
                "--pods",
                "3",
                "--http2-requests",
                "1",
            ],
            "h2-keepalive",
        ),
        (vec!["--pods", "0"], "--pods"),
        (vec!["--tokens=-1"], "--tokens"),
        (vec!["--tokens", "NaN"], "from 0 up"),
        (vec!["--cpu-limit", "0"], "above 0"),
    ] {
        let mut command = vec!["capacity", results];
        command.extend(arguments);
        assert_told(&tool(folder.path(), &command), 64, &[message]);
    }
}
