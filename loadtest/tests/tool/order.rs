//! The order in which a plan names its targets says nothing of which is which: every sentence takes the names of its
//! figures.

use crate::support::fixture::{results, target};
use hybridge_loadtest::plan::{Role, Scenario};
use hybridge_loadtest::report;
use hybridge_loadtest::report::limit::{Limit, Outcome};
use hybridge_loadtest::results::{Block, Results};
use hybridge_loadtest::tls::Group;

/// The baseline stands first, and a second subject is as dear as the first is over again.
fn with_two_subjects() -> Results {
    let mut results = results();
    results.targets = vec![
        target("classical", Role::Baseline, Group::X25519),
        target("hybrid", Role::Subject, Group::X25519MLKEM768),
        target("P-256", Role::Subject, Group::SECP256R1),
    ];
    for case in &mut results.cases {
        let own: Vec<_> = case.blocks_of("classical").cloned().collect();
        case.blocks.extend(own.into_iter().map(|block| Block {
            target: "P-256".into(),
            server_cpu_s: block.server_cpu_s.map(|seconds| seconds * 2.0),
            ..block
        }));
    }
    results
}

#[test]
fn the_baseline_may_stand_first() {
    let mut turned = results();
    turned.targets.reverse();
    let words = report::text(&turned);
    assert!(
        words.contains(
            "A full handshake with X25519MLKEM768 takes 556 µs where one with X25519 takes 494 µs: 61.4 µs longer"
        ),
        "{words}"
    );
    assert_eq!(words, report::text(&results()));
    let lines = |results: &Results| {
        let text = report::csv::lines(results);
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(&turned), lines(&results()));
}

/// What a figure says is of a pair, and the pair is named wherever there are several.
#[test]
fn each_of_several_subjects_is_told_of_by_name() {
    let results = with_two_subjects();
    let text = report::markdown(&results);
    for words in [
        "# Key exchanges side by side: golden",
        "hybrid (X25519MLKEM768) costs more than classical (X25519) for a new connection",
        "P-256 (secp256r1) against classical (X25519): no difference was seen in the latency of a new connection",
        "hybrid (X25519MLKEM768) against classical (X25519): A full handshake with X25519MLKEM768 takes 556 µs where one with \
         X25519 takes 494 µs",
        "A full handshake with secp256r1 takes 494 µs where one with X25519 takes 494 µs",
        " per new connection (full handshake), hybrid (X25519MLKEM768) against classical (X25519) (",
        "| case | figure | baseline | subject | difference |",
        "| Full handshake | latency, median | classical: 494 µs | hybrid: 556 µs |",
        "| Full handshake | latency, median | classical: 494 µs | P-256: 494 µs |",
    ] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
    assert!(!text.contains("Hybrid costs"), "{text}");
    let limit: Limit = "full-handshake.cpu > 50%".parse().unwrap();
    let Outcome::Met(met) = limit.check(&results) else {
        panic!("not met");
    };
    assert!(
        met[0].starts_with(
            "Full handshake: server CPU per operation of P-256 against classical +100 %"
        ),
        "{met:?}"
    );
}

/// A subject is not dearer for being one: what it saves is told as such.
#[test]
fn a_classical_subject_is_not_called_hybrid() {
    let mut turned = results();
    for target in &mut turned.targets {
        target.role = match target.role {
            Role::Subject => Role::Baseline,
            Role::Baseline => Role::Subject,
        };
    }
    turned.cases.retain(|case| {
        let scenario = case.case.scenario;
        scenario == Scenario::FullHandshake || scenario == Scenario::Download
    });
    let text = report::markdown(&turned);
    for words in [
        "# Key exchanges side by side: golden",
        "classical (X25519) costs less than hybrid (X25519MLKEM768) in the latency of a new connection",
        "A full handshake with X25519 takes 494 µs where one with X25519MLKEM768 takes 556 µs: 61.4 µs shorter",
        "and 2,311 fewer bytes (-1,222 up, -1,089 down)",
        "| case | figure | baseline | subject |",
        " fewer bytes on the wire than hybrid (X25519MLKEM768) (",
    ] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
    assert!(!text.contains("Hybrid"), "{text}");
}
