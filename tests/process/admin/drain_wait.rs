//! `/drain/wait`: what it waits for, and for how long.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{draining_setup, quiet_app, request};
use crate::support::process::Process;
use crate::support::stage::Stage;
use crate::support::{Setup, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_wait_waits_for_a_drain_to_begin_and_for_open_work_to_end() {
    let stage = Stage::new().await;
    let process = Process::start(&draining_setup(&stage)).await;
    let mut client = process.connect(&["http/1.1"]).await;
    client
        .write_all(b"GET /hold HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    process
        .metric_reaches("hybridge_requests_open", &[], 1.0)
        .await;
    let admin = process.admin;
    let waiting =
        tokio::spawn(async move { request(admin, "GET", "/drain/wait?timeout=15s").await });

    assert_eq!(request(admin, "POST", "/drain").await.0, 202);
    process.refuses().await;
    assert_eq!(
        process.admin("/drain/wait?timeout=1s").await,
        (504, "1 connection still open\n".to_owned())
    );
    assert!(!waiting.is_finished());
    stage.finish();
    let mut answer = String::new();
    within(client.read_to_string(&mut answer)).await.unwrap();
    let (status, _, body) = waiting.await.unwrap();
    assert_eq!((status, body.as_str()), (200, "drained\n"));
    // The process stays, and a later request is told at once.
    assert_eq!(process.admin("/drain/wait").await.0, 200);
    assert_eq!(process.admin("/readyz").await.0, 503);
    assert_eq!(process.metric("hybridge_draining", &[]).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_wait_with_a_wrong_timeout_is_refused() {
    let sidecar = Setup::in_front_of(quiet_app().await).start();
    assert_eq!(
        sidecar.admin("/drain/wait?timeout=soon").await,
        (
            400,
            "timeout: `soon` is not a duration such as `120s`\n".to_owned()
        )
    );
}

/// The kubelet runs preStop whenever it ends a container, also where nothing drains.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_wait_ends_soon_when_no_drain_begins() {
    let sidecar = Setup::in_front_of(quiet_app().await).start();
    let asked = Instant::now();
    let response = within(sidecar.admin("/drain/wait?timeout=120s")).await;
    assert_eq!(response, (200, "no drain has begun\n".to_owned()));
    let waited = asked.elapsed();
    // Long enough for the sidecar's own hook, which begins the drain at a deletion.
    assert!(waited >= Duration::from_millis(2500), "{waited:?}");
}

/// A request for an hour waits no longer than a drain can take.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_wait_is_bounded_by_the_drain_timeout() {
    let stage = Stage::new().await;
    let setup =
        Setup::in_front_of(stage.address).process("[drain]\ndelay = \"0s\"\ntimeout = \"2s\"");
    let process = Process::start(&setup).await;
    let mut client = process.connect(&["http/1.1"]).await;
    client
        .write_all(b"GET /hold HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    process
        .metric_reaches("hybridge_requests_open", &[], 1.0)
        .await;
    assert_eq!(request(process.admin, "POST", "/drain").await.0, 202);
    process.refuses().await;
    let response = within(process.admin("/drain/wait?timeout=60m")).await;
    assert_eq!(response, (504, "1 connection still open\n".to_owned()));
}
