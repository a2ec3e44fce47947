//! A target that fails within a run: it is named on top, what is missing is missing of it alone, and the others go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::pairs::run;
use crate::support::{Pki, case, endpoint, serve, target, unused_address};
use hybridge_loadtest::error::Error;
use hybridge_loadtest::observe::Probe;
use hybridge_loadtest::plan::{Case, Load, Role, Scenario};
use hybridge_loadtest::report;
use hybridge_loadtest::run::target::Resolved;
use hybridge_loadtest::tls::Group;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};

/// In front of a server: the connections with these numbers, from 0, are reset, and the rest is forwarded.
async fn resetting(
    config: Arc<ServerConfig>,
    resets: impl Fn(usize) -> bool + Send + 'static,
) -> std::net::SocketAddr {
    let server = serve(config).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = AtomicUsize::new(0);
    tokio::spawn(async move {
        while let Ok((mut peer, _)) = listener.accept().await {
            if resets(count.fetch_add(1, Ordering::Relaxed)) {
                peer.set_zero_linger().unwrap();
                continue;
            }
            tokio::spawn(async move {
                let mut upstream = TcpStream::connect(server).await?;
                tokio::io::copy_bidirectional(&mut peer, &mut upstream).await
            });
        }
    });
    address
}

async fn three(pki: &Pki, odd: impl Fn(usize) -> bool + Send + 'static) -> Vec<Resolved> {
    let config = pki.server(&[Group::X25519]);
    let reach =
        |role, name: &str, address| target(role, endpoint(name, address, pki, &[Group::X25519]));
    vec![
        reach(Role::Subject, "hybridge", serve(Arc::clone(&config)).await),
        reach(Role::Baseline, "steady", serve(Arc::clone(&config)).await),
        reach(Role::Baseline, "odd", resetting(config, odd).await),
    ]
}

/// Each round opens two connections: the third of the target is in its second round.
#[tokio::test(flavor = "multi_thread")]
async fn one_reset_is_a_failed_operation_and_no_end() {
    let pki = Pki::new();
    let targets = three(&pki, |number| number == 2).await;
    let (mut run, mut results) = run(targets, vec![case(Scenario::H1Keepalive)]);
    run.measure(&mut results, |_| Ok(())).await.unwrap();
    let measured = &results.cases[0];
    assert_eq!(measured.blocks.len(), 9, "three rounds of three");
    let errors = |name: &str| -> u64 { measured.blocks_of(name).map(|block| block.errors).sum() };
    assert_eq!(
        (errors("odd"), errors("steady"), errors("hybridge")),
        (1, 0, 0)
    );
    assert!(report::text(&results).contains("1 operation failed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_resets_everything_is_left_out_and_the_others_go_on() {
    let pki = Pki::new();
    let targets = three(&pki, |number| number >= 2).await;
    let cases = vec![case(Scenario::H1Keepalive), case(Scenario::FullHandshake)];
    let (mut run, mut results) = run(targets, cases);
    let error = run.measure(&mut results, |_| Ok(())).await.unwrap_err();
    assert!(matches!(error, Error::Incomplete(_)), "{error}");
    assert_eq!(results.cases.len(), 2);
    let blocks = |case: usize, name: &str| results.cases[case].blocks_of(name).count();
    assert_eq!(
        [blocks(0, "hybridge"), blocks(0, "steady"), blocks(0, "odd")],
        [3, 3, 1]
    );
    assert_eq!(
        [blocks(1, "hybridge"), blocks(1, "steady"), blocks(1, "odd")],
        [3, 3, 0]
    );
    assert!(
        results.warnings[0].contains("odd is missing from round 2 of \"HTTP/1.1 request"),
        "{:?}",
        results.warnings
    );
    assert!(
        results.skipped[0].contains("Full handshake, 2 connections: odd, which had failed before"),
        "{:?}",
        results.skipped
    );
    assert!(report::text(&results).contains("odd is missing from round 2"));
}

/// A target that answers again takes part again.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_answers_again_is_in_the_next_case() {
    let pki = Pki::new();
    let targets = three(&pki, |number| (2..5).contains(&number)).await;
    // A session of one connection gives up after five attempts; these three leave it in.
    let patient = Case {
        load: Load::Closed { connections: 1 },
        ..case(Scenario::H1Keepalive)
    };
    let (mut patience, mut results) = run(targets, vec![patient.clone(), patient]);
    patience.measure(&mut results, |_| Ok(())).await.unwrap();
    let errors = |case: usize| -> u64 {
        let blocks = results.cases[case].blocks_of("odd");
        blocks.map(|block| block.errors).sum()
    };
    assert_eq!((errors(0), errors(1)), (3, 0));
    let targets = three(&pki, |number| (2..7).contains(&number)).await;
    let patient = results.cases[0].case.clone();
    let (mut out_and_in, mut results) = run(targets, vec![patient.clone(), patient]);
    out_and_in
        .measure(&mut results, |_| Ok(()))
        .await
        .unwrap_err();
    let blocks = |case: usize| results.cases[case].blocks_of("odd").count();
    assert_eq!((blocks(0), blocks(1)), (2, 3));
}

/// Of two targets none is left to compare with: the case ends with the rounds that are whole.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_pair_the_case_ends_and_the_next_is_tried() {
    let pki = Pki::new();
    let mut targets = three(&pki, |number| (4..40).contains(&number)).await;
    targets.remove(1);
    let (mut run, mut results) = run(
        targets,
        vec![case(Scenario::H1Keepalive), case(Scenario::H1Keepalive)],
    );
    run.measure(&mut results, |_| Ok(())).await.unwrap_err();
    let blocks = |name: &str| results.cases[0].blocks_of(name).count();
    assert_eq!([blocks("hybridge"), blocks("odd")], [2, 2]);
    assert!(
        results.warnings[0].contains("odd is missing from round 3"),
        "{:?}",
        results.warnings
    );
}

/// "server, cores busy 0.00", and no word.
#[tokio::test(flavor = "multi_thread")]
async fn metrics_that_do_not_answer_are_told_and_are_no_zero() {
    let pki = Pki::new();
    let mut targets = three(&pki, |_| false).await;
    let nobody = unused_address();
    targets[0].probe = Probe::new(None, Some(nobody));
    let (mut run, mut results) = run(targets, vec![case(Scenario::H1Keepalive)]);
    run.measure(&mut results, |_| Ok(())).await.unwrap();
    let told = format!("The metrics of hybridge at {nobody} did not answer (");
    let times = results
        .warnings
        .iter()
        .filter(|words| words.starts_with(&told));
    assert_eq!(times.count(), 1, "{:?}", results.warnings);
    let report = report::markdown(&results);
    let busy = |target: &str| {
        let row = format!("| {target} | ");
        let mut rows = report
            .lines()
            .filter(|line| line.contains(&row) && line.contains(" of "));
        let (_, cells) = rows.next().unwrap().split_once(&row).unwrap();
        cells.split(" | ").next().unwrap().to_owned()
    };
    assert_eq!(busy("hybridge"), "-");
    assert!(busy("steady").parse::<f64>().is_ok(), "{}", busy("steady"));
}
