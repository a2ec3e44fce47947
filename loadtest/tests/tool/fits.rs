//! What is written can be read again, at every bound.

use hybridge_loadtest::plan::{self, Plan};
use hybridge_loadtest::results::histogram::Packed;
use hybridge_loadtest::results::{CaseResult, Results, file};

use crate::support::fixture::results;

fn read_again(results: &Results) -> Results {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    file::save(&path, results).unwrap();
    file::load(&path).unwrap()
}

/// One with so many blocks, each as small as can be.
fn case(of: &Results, blocks: usize) -> CaseResult {
    let mut case = of.cases[1].clone();
    let mut block = case.blocks[0].clone();
    block.latency = Packed::of(&[]);
    case.blocks = vec![block; blocks];
    case.rounds.clear();
    case
}

#[test]
fn as_much_as_is_read_is_read_again() {
    let mut most = results();
    most.cases = vec![case(&most, 30_000); 3];
    most.cases.push(case(&most, 9_004));
    most.cases.extend(vec![case(&most, 1); 996]);
    let target = most.targets[0].clone();
    most.targets.resize(256, target);
    most.warnings = vec![String::new(); 10_000];
    let again = read_again(&most);
    assert!(again == most);
}

#[test]
fn what_is_longer_is_cut_when_it_is_written() {
    let mut long = results();
    let text = |length| "é ".repeat(length);
    let versions = &mut long.provenance.versions;
    versions.insert("note".into(), text(600));
    long.provenance.command.push(text(2_000));
    long.provenance.plan = text(1 << 20);
    long.warnings = vec!["so".to_owned(); 10_001];
    long.warnings[0] = text(10_000);
    long.skipped = vec!["so".to_owned(); 12_000];
    let again = read_again(&long);
    for (text, most) in [
        (&again.provenance.versions["note"], 1 << 10),
        (again.provenance.command.last().unwrap(), 1 << 10),
        (&again.provenance.plan, 1 << 20),
        (&again.warnings[0], 16 << 10),
    ] {
        assert!(text.len() <= most && text.len() > most - 4 && text.ends_with('…'));
    }
    assert_eq!(again.warnings.len(), 10_000);
    assert_eq!(again.warnings.last().unwrap(), "… and 2 more");
    assert_eq!(again.skipped.last().unwrap(), "… and 2001 more");
    assert_eq!(again.targets, long.targets);
}

#[test]
fn a_digest_in_a_note_is_no_key() {
    let mut noted = results();
    let digest = "0123456789abcdef".repeat(4);
    for name in ["commit", "token"] {
        let versions = &mut noted.provenance.versions;
        versions.insert(name.into(), digest.clone());
    }
    let again = read_again(&noted);
    assert_eq!(again.provenance.versions["commit"], digest);
    assert!(again.provenance.versions["token"].contains("not shown"));
}

#[test]
fn a_plan_beyond_what_is_read_is_refused() {
    let refused = |change: fn(&mut Plan), note: usize| {
        let mut plan = plan::load("peers").unwrap();
        change(&mut plan);
        let notes = [("note".to_owned(), "é".repeat(note))];
        Results::check_planned(&plan, notes.into()).err()
    };
    assert_eq!(refused(|_| {}, 512), None);
    let long = refused(|_| {}, 900).unwrap();
    assert!(long.starts_with("a text of more than 1024 bytes"), "{long}");
    let many = refused(|plan| plan.targets = vec![plan.targets[0].clone(); 257], 1);
    assert_eq!(many.unwrap(), "257 targets, where 256 are read at most");
    let cases = refused(|plan| plan.cases = vec![plan.cases[0].clone(); 1_001], 1);
    assert_eq!(cases.unwrap(), "1001 cases, where 1000 are read at most");
    let rounds = refused(|plan| plan.cases[0].rounds = u32::MAX, 1).unwrap();
    assert!(rounds.contains("in one case, where 30000 are"), "{rounds}");
}
