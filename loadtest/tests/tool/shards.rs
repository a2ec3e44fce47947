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

/// Each generator sees all that the server did meanwhile; the second began later here, and ended later.
#[test]
fn counted_bytes_are_those_of_all_shards_against_one_server() {
    let with = |name: &str, client, span: Option<[u64; 2]>| {
        let mut part = shard(name);
        part.checks[0].client = client;
        part.checks[0].server = span.map_or(1264, |[begun, ended]| ended - begun);
        part.checks[0].server_span = span;
        part
    };
    let one = || with("1/2", 685, Some([1000, 2200]));
    let two = || with("2/2", 579, Some([1100, 2264]));
    assert!(one().reportable().checks.is_empty());
    let words = "byte counts disagree";
    for parts in [
        vec![one(), two()],
        vec![two(), one()],
        vec![with("1/2", 685, None), with("2/2", 579, None)],
    ] {
        let whole = merge(parts).unwrap();
        let [check] = whole.checks.as_slice() else {
            panic!("{:?}", whole.checks);
        };
        assert_eq!((check.client, check.server), (1264, 1264));
        assert_eq!(check.server_span, None);
        assert!(!markdown(&whole).contains(words));
    }
    let lost = merge(vec![one(), with("2/2", 500, Some([1100, 2264]))]).unwrap();
    assert!(markdown(&lost).contains(words));
    // Of what one did not count nothing can be said, nor of what a missing one did.
    let mut blind = two();
    blind.checks.clear();
    assert!(merge(vec![one(), blind]).unwrap().checks.is_empty());
    let missing = merge(vec![with("1/3", 685, Some([0, 9]))]).unwrap();
    assert!(missing.checks.is_empty());
}

/// Blocks of 0.3 s: what less than half of one lies between was one load.
#[test]
fn shards_that_did_not_run_together_are_told() {
    let at = |name: &str, began: Option<u64>| {
        let mut part = shard(name);
        for block in part.cases.iter_mut().flat_map(|case| &mut case.blocks) {
            block.began_ms = began;
        }
        part
    };
    let told = |first, second| {
        let whole = merge(vec![at("1/2", first), at("2/2", second)]).unwrap();
        let mut warnings = whole.warnings.into_iter();
        warnings.find(|words| words.starts_with("The shards did not run together"))
    };
    let begun = Some(1_800_000_000_000);
    assert_eq!(told(begun, Some(1_800_000_000_140)), None);
    assert_eq!(told(begun, None), None, "a file of an older version");
    for later in [1_800_000_000_200, 1_799_999_987_000] {
        let words = told(begun, Some(later)).unwrap();
        assert!(words.contains("--start-at"), "{words}");
    }
    let words = told(begun, Some(1_800_000_012_340)).unwrap();
    assert!(words.contains("up to 12.3 s apart"), "{words}");
}

/// A shard whose generator used this share of its one core, with these ceilings of its rounds.
fn generator(name: &str, share: f64, ceiling: f64) -> Results {
    let mut part = shard(name);
    part.checks.clear();
    for case in &mut part.cases {
        for block in &mut case.blocks {
            block.generator_cpu_s = share * block.elapsed_s;
        }
        for round in &mut case.rounds {
            round.ceiling = Some(ceiling + f64::from(round.pair));
        }
    }
    part
}

/// Two generators have two cores, and one is slower than the other without being busy with something else.
#[test]
fn generators_are_evaluated_each_by_itself() {
    let whole = merge(vec![
        generator("1/2", 0.6, 50_000.0),
        generator("2/2", 0.59, 30_000.0),
    ])
    .unwrap();
    let report = markdown(&whole);
    assert!(!report.contains("> **Note:**"), "{report}");
    assert!(report.contains("| 1.19 of 2 |"), "{report}");
    let headroom = whole.headroom.unwrap();
    assert_eq!((headroom.cores, headroom.null_per_second), (2, 122_000.0));

    let mut slowed = generator("2/2", 0.59, 30_000.0);
    slowed.cases[0].rounds[0].ceiling = Some(9_000.0);
    let whole = merge(vec![generator("1/2", 0.6, 50_000.0), slowed]).unwrap();
    let report = markdown(&whole);
    assert!(
        report.contains("1 of 32 rounds were under pressure"),
        "{report}"
    );

    let whole = merge(vec![
        generator("1/2", 0.95, 50_000.0),
        generator("2/2", 0.2, 50_000.0),
    ])
    .unwrap();
    let report = markdown(&whole);
    assert!(
        report.contains("> **Note:** The generator of shard 1/2 used more than 90 %"),
        "{report}"
    );
}

#[test]
fn builds_and_machines_that_differ_are_told() {
    let mut other = shard("2/2");
    let p = &mut other.provenance;
    p.profile = "debug".into();
    p.version = "0.0.1".into();
    p.machine.cpu = "Another CPU".into();
    p.versions.insert("client".into(), "rustls 1".into());
    p.versions.insert("hybrid".into(), "version=0.0.1".into());
    let whole = merge(vec![shard("1/2"), other]).unwrap();
    let report = markdown(&whole);
    assert!(
        report.contains("> **Note:** Made with a debug build"),
        "{report}"
    );
    for words in [
        "> **Note:** The generators of the shards differ: version 0.0.0 (optimised), Example CPU",
        "version 0.0.1 (debug), Another CPU",
        "- client: rustls 1.",
        "- hybrid: version=0.0.0; version=0.0.1.",
    ] {
        assert!(report.contains(words), "{words}: {report}");
    }
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
