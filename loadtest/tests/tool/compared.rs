//! `report` of one file and of several: where it writes, what it leaves out, which limits it holds.

use std::path::Path;

use crate::support::fixture;
use crate::support::program::{assert_told, tool};
use hybridge_loadtest::plan::Scenario;
use hybridge_loadtest::report;
use hybridge_loadtest::results::findings::{Metric, difference};
use hybridge_loadtest::results::{Results, file};
use hybridge_loadtest::tls::Group;

fn save(folder: &Path, name: &str, results: &Results) {
    std::fs::create_dir(folder.join(name)).unwrap();
    file::save(&folder.join(name).join("results.json"), results).unwrap();
}

fn only(scenario: Scenario) -> Results {
    let mut results = fixture::results();
    results.cases.retain(|case| case.case.scenario == scenario);
    results
}

#[test]
fn a_file_of_the_current_folder_is_reported_there() {
    let folder = tempfile::tempdir().unwrap();
    file::save(
        &folder.path().join("results.json"),
        &only(Scenario::Download),
    )
    .unwrap();
    let output = tool(folder.path(), &["report", "results.json"]);
    assert_told(&output, 0, &["wrote ./report.md, ./report.html"]);
    assert!(folder.path().join("report.md").exists());
}

#[test]
fn limits_hold_for_each_of_several_runs() {
    let folder = tempfile::tempdir().unwrap();
    let slow = only(Scenario::FullHandshake);
    let mut fast = slow.clone();
    for block in fast.cases.iter_mut().flat_map(|case| &mut case.blocks) {
        block.server_cpu_s = Some(block.ops as f64 * (128.0 + f64::from(block.pair % 2)) / 1e6);
    }
    save(folder.path(), "fast", &fast);
    save(folder.path(), "slow", &slow);
    let limit = ["--fail-if", "full-handshake.cpu > 10%", "--out", "both"];
    let report = |files: [&str; 2]| {
        let mut arguments = vec!["report"];
        arguments.extend(files);
        arguments.extend(limit);
        tool(folder.path(), &arguments)
    };
    assert_told(&report(["fast", "fast"]), 0, &[]);
    let met = report(["fast", "slow"]);
    assert_told(
        &met,
        3,
        &["slow: --fail-if 'full-handshake.cpu > 10%' is met"],
    );
    assert!(!String::from_utf8_lossy(&met.stderr).contains("fast: --fail-if"));
}

#[test]
fn cases_that_not_every_run_has_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), "all", &fixture::results());
    save(folder.path(), "one", &only(Scenario::Download));
    let output = tool(folder.path(), &["report", "one", "all", "--out", "both"]);
    assert_told(&output, 0, &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("Cases and targets that not every run has:"),
        "{text}"
    );
    assert!(text.contains("- Full handshake: only in run 2"), "{text}");
    assert!(
        !text.contains("Bulk download over HTTP, 16 MiB down: only"),
        "{text}"
    );
    assert!(text.contains("Figures beyond the spread: 0 of "), "{text}");
}

/// The first run decides on the rows, and not on what is said to be missing.
#[test]
fn targets_that_not_every_run_has_and_interruptions_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut more = only(Scenario::FullHandshake);
    let mut third = more.targets[0].clone();
    third.name = "third".into();
    more.targets.push(third);
    for case in &mut more.cases {
        let own = case.blocks_of("hybrid").cloned().map(|mut block| {
            block.target = "third".into();
            block
        });
        let own: Vec<_> = own.collect();
        case.blocks.extend(own);
    }
    let mut cut = only(Scenario::FullHandshake);
    cut.provenance.interrupted = true;
    save(folder.path(), "more", &more);
    save(folder.path(), "cut", &cut);
    for (order, run, stopped) in [(["cut", "more"], 2, 1), (["more", "cut"], 1, 2)] {
        let arguments = ["report", order[0], order[1], "--out", "both"];
        let output = tool(folder.path(), &arguments);
        assert_told(&output, 0, &[]);
        let text = String::from_utf8_lossy(&output.stdout);
        let said = format!("- Full handshake: target third only in run {run}");
        assert!(text.contains(&said), "{text}");
        assert!(!text.contains("target hybrid only"), "{text}");
        let interrupted = text.lines().filter(|line| line.contains("interrupted"));
        let named: Vec<_> = interrupted.collect();
        assert_eq!(named.len(), 1, "{text}");
        let note = format!("> **Note:** Run {stopped}: The run was interrupted");
        assert!(named[0].starts_with(&note), "{text}");
    }
}

/// Shifts the difference of a figure in every block by a share of the width of its interval.
fn shifted(results: &Results, index: usize, share: f64) -> Results {
    let mut shifted = results.clone();
    let case = &mut shifted.cases[index];
    let found = difference(case, "classical", "hybrid", Metric::ServerCpu).unwrap();
    let shift = share * (found.high - found.low);
    for block in &mut case.blocks {
        if block.target == "hybrid" {
            block.server_cpu_s = block
                .server_cpu_s
                .map(|cpu| cpu + shift * block.ops as f64 / 1e6);
        }
    }
    shifted
}

fn compare(a: &Results, b: &Results) -> String {
    let names = ["a".to_owned(), "b".to_owned()];
    report::compare::markdown(&names, &[a.clone(), b.clone()]).unwrap()
}

/// Of many figures some are just beyond by chance.
#[test]
fn a_mark_survives_the_number_of_figures() {
    let run = fixture::results();
    let said = |by_themselves: usize, marked: usize, text: &str| {
        let words = format!(
            "Figures beyond the spread: {marked} of 45. {by_themselves} by their intervals alone, before the correction."
        );
        assert!(text.contains(&words), "{text}");
        assert_eq!(text.matches(" pairs * |").count(), marked, "{text}");
    };
    said(0, 0, &compare(&run, &run));
    said(1, 0, &compare(&run, &shifted(&run, 1, 1.02)));
    said(1, 1, &compare(&run, &shifted(&run, 1, 4.0)));
}

/// Counted bytes are often the same in every block, and now and then one has a packet more.
#[test]
fn what_never_varied_in_one_run_marks_no_rare_event_of_another() {
    let run = only(Scenario::FullHandshake);
    let with = |bytes: u64, of: &dyn Fn(u32) -> bool| {
        let mut more = run.clone();
        for block in more.cases.iter_mut().flat_map(|case| &mut case.blocks) {
            if block.target == "hybrid" && of(block.pair) {
                block.bytes.handshake_up += bytes * block.ops;
            }
        }
        more
    };
    let rare = with(90, &|pair| pair == 2 || pair == 5);
    for text in [compare(&run, &rare), compare(&rare, &run)] {
        assert!(
            text.contains("Figures beyond the spread: 0 of 12. 0 by "),
            "{text}"
        );
    }
    // In every block it is no event.
    let text = compare(&run, &with(90, &|_| true));
    assert!(
        text.contains("Figures beyond the spread: 2 of 12."),
        "{text}"
    );
}

/// Cases of tokens that come at another pace are other cases, and what else differs is said.
#[test]
fn runs_that_were_not_measured_alike_are_told_apart() {
    let streams = only(Scenario::TokenStream);
    let mut slower = streams.clone();
    slower.cases[0].case.token_interval_us = 10_000;
    let names = ["a".to_owned(), "b".to_owned()];
    let refused = report::compare::markdown(&names, &[streams.clone(), slower]).unwrap_err();
    assert!(
        refused.to_string().contains("no figure in common"),
        "{refused}"
    );
    let mut other = streams.clone();
    other.targets[0].expect = Group::SECP384R1MLKEM1024;
    other.cases[0].case.block_ms = 700;
    let text = compare(&streams, &other);
    for note in [
        "Run 2: target hybrid has SecP384r1MLKEM1024, in run 1 X25519MLKEM768",
        "Run 2: SSE token stream, 64 tokens, 2 ms apart: blocks of 700 ms after 60 ms of warm-up, in run 1 blocks of 300 ms",
    ] {
        assert!(text.contains(&format!("> **Note:** {note}")), "{text}");
    }
    assert!(!compare(&streams, &streams).contains("in run 1"));
}

/// A run of which a target failed after two pairs.
fn broken() -> Results {
    let mut broken = only(Scenario::FullHandshake);
    broken.cases.truncate(1);
    broken.provenance.incomplete = true;
    broken.provenance.profile = "debug".into();
    broken.skipped = vec!["another case: classical, which had failed before".into()];
    broken.warnings = vec!["classical is missing from round 3".into()];
    let case = &mut broken.cases[0];
    case.blocks.retain(|block| block.pair < 2);
    for round in &mut case.rounds {
        round.others = Some(60.0);
    }
    broken
}

#[test]
fn a_comparison_says_of_each_run_what_its_own_report_says_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut whole = only(Scenario::FullHandshake);
    whole.cases.truncate(1);
    save(folder.path(), "whole", &whole);
    save(folder.path(), "broken", &broken());
    let output = tool(
        folder.path(),
        &["report", "whole", "broken", "--out", "both"],
    );
    assert_told(&output, 0, &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    for note in [
        "This machine was busy: do not quote these figures.",
        "classical is missing from round 3",
        "Made with a debug build",
        "not measured: another case",
    ] {
        assert!(
            text.contains(&format!("> **Note:** Run 2: {note}")),
            "{text}"
        );
    }
    // What the other left out, and nothing else.
    assert_eq!(text.matches("Run 1: ").count(), 1, "{text}");
    let row = text
        .lines()
        .find(|line| line.starts_with("| latency, median"));
    let cells: Vec<_> = row.unwrap().split(" | ").collect();
    assert!(cells[2].ends_with("], 8 pairs"), "{cells:?}");
    assert!(cells[3].contains("], 2 pairs"), "{cells:?}");
}

/// What is missing might meet the condition.
#[test]
fn a_limit_that_a_broken_run_does_not_meet_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), "broken", &broken());
    let report = |limit: &str| tool(folder.path(), &["report", "broken", "--fail-if", limit]);
    let unmet = report("full-handshake.latency > 500%");
    assert_told(&unmet, 1, &["no condition is met", "not complete"]);
    assert_told(&tool(folder.path(), &["report", "broken"]), 0, &[]);
    let mut cut = only(Scenario::FullHandshake);
    cut.provenance.interrupted = true;
    save(folder.path(), "cut", &cut);
    let met = ["report", "cut", "--fail-if", "full-handshake.cpu > 10%"];
    assert_told(&tool(folder.path(), &met), 3, &["is met"]);
    let unmet = ["report", "cut", "--fail-if", "full-handshake.cpu > 40%"];
    assert_told(&tool(folder.path(), &unmet), 1, &["not complete"]);
}

#[test]
fn the_number_of_pairs_is_that_of_what_was_measured() {
    let text = report::text(&broken());
    assert!(text.contains("from 2 pairs of blocks"), "{text}");
}

#[test]
fn runs_with_nothing_in_common_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), "a", &only(Scenario::Download));
    save(folder.path(), "b", &only(Scenario::FullHandshake));
    let mut renamed = only(Scenario::Download);
    for target in &mut renamed.targets {
        target.name.push('2');
    }
    for block in renamed.cases.iter_mut().flat_map(|case| &mut case.blocks) {
        block.target.push('2');
    }
    save(folder.path(), "c", &renamed);
    for other in ["b", "c"] {
        let output = tool(folder.path(), &["report", "a", other, "--out", "both"]);
        assert_told(&output, 64, &["no figure in common"]);
        assert!(output.stdout.is_empty());
    }
}
