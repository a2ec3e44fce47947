//! A run in pairs against two servers of our own: what is recorded, and how it ends when something is wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Pki, case, endpoint, serve, target, unused_address};
use hybridge_loadtest::error::Error;
use hybridge_loadtest::plan::{Case, Plan, Role, Scenario};
use hybridge_loadtest::report;
use hybridge_loadtest::results::findings::{Metric, difference, values};
use hybridge_loadtest::results::{Results, file};
use hybridge_loadtest::run::progress::Progress;
use hybridge_loadtest::run::target::Resolved;
use hybridge_loadtest::run::{Run, Shard};
use hybridge_loadtest::tls::Group;

const HYBRID: [Group; 2] = [Group::X25519MLKEM768, Group::X25519];

async fn two_servers(pki: &Pki) -> Vec<Resolved> {
    let hybrid = serve(pki.server(&HYBRID[..1])).await;
    let classical = serve(pki.server(&[Group::X25519])).await;
    vec![
        target(Role::Subject, endpoint("hybrid", hybrid, pki, &HYBRID)),
        target(
            Role::Baseline,
            endpoint("classical", classical, pki, &[Group::X25519]),
        ),
    ]
}

pub(crate) fn run(targets: Vec<Resolved>, cases: Vec<Case>) -> (Run, Results) {
    let results = Results::of(targets.iter().map(|target| target.plan.clone()).collect());
    let plan = Plan {
        name: "test".into(),
        text: String::new(),
        targets: Vec::new(),
        beside: Vec::new(),
        cases,
    };
    let shard = Shard { index: 1, of: 1 };
    let stop = Arc::new(AtomicBool::new(false));
    (
        Run {
            plan,
            targets,
            seed: 5,
            shard,
            stop,
            progress: Progress::new(false),
            ceiling: None,
            beside: Vec::new(),
            counted: None,
        },
        results,
    )
}

async fn measured(scenarios: &[Scenario]) -> Results {
    let pki = Pki::new();
    let cases = scenarios.iter().map(|scenario| case(*scenario)).collect();
    let (mut run, mut results) = run(two_servers(&pki).await, cases);
    run.measure(&mut results, |_| Ok(())).await.unwrap();
    results
}

#[tokio::test(flavor = "multi_thread")]
async fn every_http1_scenario_gives_complete_pairs() {
    let scenarios = [
        Scenario::FullHandshake,
        Scenario::HelloRetryHandshake,
        Scenario::ResumedHandshake,
        Scenario::H1Keepalive,
        Scenario::RequestPerConnection,
        Scenario::TokenStream,
        Scenario::Upload,
        Scenario::Download,
        Scenario::GradientExchange,
        Scenario::ModelCheckpoint,
        Scenario::FederatedRound,
        Scenario::Mix,
    ];
    let results = measured(&scenarios).await;
    assert_eq!(results.cases.len(), scenarios.len());
    for case in &results.cases {
        assert_eq!(
            case.blocks.len(),
            6,
            "{}: three pairs of two",
            case.case.title()
        );
        for block in &case.blocks {
            assert!(
                block.ops > 0 && block.errors == 0,
                "{}: {block:?}",
                case.case.title()
            );
            assert_eq!(block.latency.histogram().unwrap().len(), block.ops);
            assert!(block.server_cpu_s.is_some());
        }
    }
    let text = report::markdown(&results);
    assert!(
        text.contains("A full handshake with X25519MLKEM768"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_difference_in_bytes_is_that_of_the_key_shares() {
    let results = measured(&[Scenario::FullHandshake]).await;
    let case = &results.cases[0];
    // The client also sends the X25519 share by itself: 1216 more, with 4 of its header and 2 in the list of groups.
    let up = difference(case, "classical", "hybrid", Metric::HandshakeUp).unwrap();
    assert!((up.mean - (1216.0 + 4.0 + 2.0)).abs() < 0.01, "{up:?}");
    let down = values(case, "hybrid", Metric::HandshakeDown);
    let classical = values(case, "classical", Metric::HandshakeDown);
    // The ECDSA signature varies by a byte or two.
    assert!(
        (down[0] - classical[0] - 1088.0).abs() < 2.0,
        "{down:?} {classical:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_negotiates_something_else_fails_the_run() {
    let pki = Pki::new();
    let classical = serve(pki.server(&[Group::X25519])).await;
    let targets = vec![
        target(Role::Subject, endpoint("hybrid", classical, &pki, &HYBRID)),
        target(
            Role::Baseline,
            endpoint("classical", classical, &pki, &[Group::X25519]),
        ),
    ];
    let (mut run, mut results) = run(targets, vec![case(Scenario::FullHandshake)]);
    let error = run.measure(&mut results, |_| Ok(())).await.unwrap_err();
    assert!(matches!(error, Error::Negotiated { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("X25519MLKEM768") && text.contains("negotiated X25519 "),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_sends_no_hello_retry_is_told_in_a_warning() {
    let pki = Pki::new();
    let both = serve(pki.server(&HYBRID)).await;
    let targets = vec![
        target(Role::Subject, endpoint("hybrid", both, &pki, &HYBRID)),
        target(
            Role::Baseline,
            endpoint("classical", both, &pki, &HYBRID[1..]),
        ),
    ];
    let (mut run, mut results) = run(
        targets,
        vec![
            case(Scenario::HelloRetryHandshake),
            case(Scenario::H1Keepalive),
        ],
    );
    run.measure(&mut results, |_| Ok(())).await.unwrap();
    assert_eq!(results.cases.len(), 1, "the other case is measured");
    assert!(
        results.warnings[0].contains("was left out: target hybrid negotiated X25519"),
        "{:?}",
        results.warnings
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_the_middle_leaves_what_was_measured() {
    let pki = Pki::new();
    let mut targets = two_servers(&pki).await;
    // The second case finds nobody: its listener is gone.
    let gone = unused_address();
    let cases = [case(Scenario::FullHandshake), case(Scenario::H1Keepalive)];
    let (mut first, mut results) = run(targets.clone(), cases[..1].to_vec());
    first.measure(&mut results, |_| Ok(())).await.unwrap();
    targets[1] = target(
        Role::Baseline,
        endpoint("classical", gone, &pki, &[Group::X25519]),
    );
    let (mut second, _) = run(targets, cases[1..].to_vec());
    let error = second.measure(&mut results, |_| Ok(())).await.unwrap_err();
    assert!(error.to_string().contains("classical"), "{error}");
    assert_eq!(results.cases.len(), 1, "the finished case is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_keeps_whole_pairs_only() {
    let pki = Pki::new();
    let long = Case {
        rounds: 200,
        ..case(Scenario::FullHandshake)
    };
    let (mut run, mut results) = run(
        two_servers(&pki).await,
        vec![long, case(Scenario::H1Keepalive)],
    );
    let stop = Arc::clone(&run.stop);
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        stop.store(true, Ordering::Relaxed);
    });
    run.measure(&mut results, |_| Ok(())).await.unwrap();
    assert!(results.provenance.interrupted);
    let case = &results.cases[0];
    assert!(!case.blocks.is_empty() && case.blocks.len() < 400);
    assert_eq!(
        case.blocks_of("hybrid").count(),
        case.blocks_of("classical").count()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn results_survive_writing_and_reading() {
    let results = measured(&[Scenario::FullHandshake, Scenario::TokenStream]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    file::save(&path, &results).unwrap();
    assert_eq!(file::load(folder.path()).unwrap(), results);
    assert_eq!(
        report::markdown(&file::load(&path).unwrap()),
        report::markdown(&results)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_may_be_checked_on_some_handshakes_but_the_group_is_on_all() {
    let pki = Pki::new();
    let targets = two_servers(&pki).await;
    for target in &targets {
        target
            .endpoint
            .tls
            .as_ref()
            .unwrap()
            .trust
            .check_signatures_every(16);
    }
    let (mut sparing, mut results) = run(targets, vec![case(Scenario::FullHandshake)]);
    sparing.measure(&mut results, |_| Ok(())).await.unwrap();
    assert!(
        results.cases[0]
            .blocks
            .iter()
            .all(|block| block.errors == 0)
    );
    let classical = serve(pki.server(&[Group::X25519])).await;
    let wrong = endpoint("hybrid", classical, &pki, &HYBRID);
    wrong.tls.as_ref().unwrap().trust.check_signatures_every(16);
    let targets = vec![
        target(Role::Subject, wrong.clone()),
        target(Role::Baseline, wrong),
    ];
    let (mut fooled, mut results) = run(targets, vec![case(Scenario::FullHandshake)]);
    assert!(matches!(
        fooled.measure(&mut results, |_| Ok(())).await,
        Err(Error::Negotiated { .. })
    ));
}

/// What is kept for all rounds is a constant of its target, which no interval over rounds can see.
#[tokio::test(flavor = "multi_thread")]
async fn every_round_draws_its_connections_anew() {
    let pki = Pki::new();
    let targets = two_servers(&pki).await;
    let counted = Arc::clone(&targets[0].endpoint.totals);
    let (mut run, mut results) = run(targets, vec![case(Scenario::H1Keepalive)]);
    run.measure(&mut results, |_| Ok(())).await.unwrap();
    // Two connections in each of three rounds.
    assert_eq!(counted.read().handshakes, 6);
}
