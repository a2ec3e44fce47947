//! Shards that are not all there: what one of them says by itself, and what `merge` takes.

use crate::support::fixture;
use crate::support::program::{assert_told, tool};
use hybridge_loadtest::report::markdown;
use hybridge_loadtest::results::merge::merge;
use hybridge_loadtest::results::{Results, file};

fn shard(name: &str) -> Results {
    let mut results = fixture::results();
    results.provenance.shard = name.into();
    results.cases.truncate(2);
    results.skipped = vec![format!("a case that {name} left out")];
    results
}

fn has_cpu(results: &Results) -> bool {
    let mut blocks = results.cases.iter().flat_map(|case| &case.blocks);
    blocks.any(|block| block.server_cpu_s.is_some() || block.rss_added.is_some())
}

#[test]
fn one_shard_says_nothing_of_a_server_that_worked_for_all() {
    let lone = shard("1/4");
    let shown = lone.reportable();
    assert!(has_cpu(&lone) && !has_cpu(&shown));
    assert!(
        shown.warnings[0].contains("shard 1 of 4"),
        "{:?}",
        shown.warnings
    );
    let report = markdown(&shown);
    assert!(!report.contains("| server CPU per operation |"), "{report}");
    assert!(
        !report.contains("| memory per idle connection |"),
        "{report}"
    );
    let whole = shard("1/1");
    assert!(has_cpu(&whole.reportable()) && whole.reportable().warnings.is_empty());
}

#[test]
fn capacity_asks_for_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    file::save(&path, &shard("1/4")).unwrap();
    let output = tool(folder.path(), &["capacity", "results.json"]);
    assert_told(&output, 64, &["shard 1 of 4", "merge"]);
    file::save(&path, &shard("1/1")).unwrap();
    assert_told(&tool(folder.path(), &["capacity", "results.json"]), 0, &[]);
    file::save(&path, &shard("1/4")).unwrap();
    let arguments = [
        "report",
        "results.json",
        "--fail-if",
        "full-handshake.cpu > 1%",
    ];
    assert_told(
        &tool(folder.path(), &arguments),
        1,
        &["no such figure", "merge"],
    );
}

#[test]
fn every_part_is_there_once_and_of_one_number() {
    for (parts, words) in [
        (&["1/3", "2/3", "2/3"][..], "shard 2/3 is there twice"),
        (&["1/3", "2/4"], "1/3 in one and 2/4 in another"),
        (&["1/1", "1/1"], "shard 1/1 is there twice"),
        (&["1/2", "all of 2"], "\"all of 2\""),
    ] {
        let refused = merge(parts.iter().copied().map(shard).collect()).unwrap_err();
        assert!(refused.to_string().contains(words), "{refused}");
    }
}

#[test]
fn a_missing_part_is_told_on_top_and_takes_the_server_along() {
    let some = merge(vec![shard("2/3"), shard("1/3")]).unwrap();
    assert_eq!(some.provenance.shard, "2 of 3");
    assert!(
        some.warnings[0].contains("2 of 3 shards"),
        "{:?}",
        some.warnings
    );
    assert!(!has_cpu(&some));
    assert_eq!(
        some.skipped,
        ["a case that 1/3 left out", "a case that 2/3 left out"]
    );
    let all = merge(vec![shard("2/2"), shard("1/2")]).unwrap();
    assert_eq!(all.provenance.shard, "all of 2");
    assert!(has_cpu(&all) && all.warnings.is_empty());
}

#[test]
fn damaged_counts_are_refused() {
    let mut damaged = shard("1/2");
    damaged.cases[0].blocks[0].ops = u64::MAX;
    let refused = merge(vec![damaged.clone(), shard("2/2")]).unwrap_err();
    assert!(refused.to_string().contains("counts of"), "{refused}");
    let folder = tempfile::tempdir().unwrap();
    for damage in [u64::MAX, 1 << 60] {
        damaged.cases[0].blocks[0].ops = 1;
        damaged.cases[0].blocks[0].bytes.wire_up = damage;
        file::save(&folder.path().join("results.json"), &damaged).unwrap();
        let output = tool(folder.path(), &["report", "results.json"]);
        let count = damage.to_string();
        assert_told(&output, 64, &["results.json", "a damaged count", &count]);
    }
}
