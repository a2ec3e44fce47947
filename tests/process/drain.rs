//! The end of a process: what SIGTERM, SIGINT, SIGHUP and PID 1 come to, on the built binary.

use crate::support::client::{Client, ask, read_to_end, read_until, stream};
use crate::support::pki::TestPki;
use crate::support::process::Process;
use crate::support::stage::Stage;
use crate::support::{Setup, client_config, eventually, upstream, within};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn drain(delay: &str, timeout: &str) -> String {
    format!("workers = 2\n[drain]\ndelay = \"{delay}\"\ntimeout = \"{timeout}\"")
}

/// A client with an event stream under way.
async fn streaming(process: &Process) -> Client {
    stream(process.connect(&["http/1.1"]).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_is_not_ready_then_refuses_and_lets_an_event_stream_finish() {
    let stage = Stage::new().await;
    let setup = Setup::in_front_of(stage.address).process(&drain("4s", "60s"));
    let process = Process::start(&setup).await;
    let mut events = streaming(&process).await;
    let mut idle = process.connect(&["http/1.1"]).await;
    ask(&mut idle, "/").await;
    read_until(&mut idle, "done").await;
    assert_eq!(process.admin("/readyz").await.0, 200);

    process.signal(Signal::TERM);
    process.not_ready().await;
    assert!(process.admin("/readyz").await.1.contains("draining"));
    let mut late = process.connect(&["http/1.1"]).await;
    ask(&mut late, "/").await;
    let answer = read_until(&mut late, "done").await;
    assert!(!answer.contains("connection: close"), "{answer}");
    ask(&mut late, "/hold").await;

    process.refuses().await;
    assert_eq!(read_to_end(&mut idle).await, "");
    read_until(&mut events, "data: x").await;
    assert_eq!(process.admin("/livez").await.0, 200);
    stage.finish();
    assert!(read_to_end(&mut events).await.ends_with("0\r\n\r\n"));
    let answer = read_to_end(&mut late).await;
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(answer.ends_with("done"), "{answer}");
    let (code, log) = process.ended().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("drained"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http2_client_gets_goaway_and_its_open_stream_finishes() {
    let stage = Stage::new().await;
    let setup = Setup::in_front_of(stage.address).process(&drain("0s", "60s"));
    let process = Process::start(&setup).await;
    let mut sender = process.http2().await;
    let request = http::Request::get("https://localhost/stream")
        .body(())
        .unwrap();
    let (response, _) = sender.send_request(request, true).unwrap();
    let mut body = within(response).await.unwrap().into_body();
    within(body.data()).await.unwrap().unwrap();

    process.signal(Signal::TERM);
    process.refuses().await;
    let refused = within(async {
        loop {
            // A stream opened before GOAWAY arrives is still served.
            match sender.clone().ready().await {
                Err(error) => return error,
                Ok(_) => tokio::task::yield_now().await,
            }
        }
    });
    assert!(refused.await.is_go_away());
    stage.finish();
    let mut length = 0;
    while let Some(data) = within(body.data()).await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        length += data.len();
    }
    assert!(length > 0);
    assert_eq!(process.ended().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_tunnel_outlives_the_begin_of_a_drain() {
    let stage = Stage::new().await;
    let setup = Setup::in_front_of(stage.address).process(&drain("0s", "60s"));
    let process = Process::start(&setup).await;
    let mut tunnel = process.connect(&["http/1.1"]).await;
    tunnel
        .write_all(b"GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut tunnel, "\r\n\r\n").await;
    process.signal(Signal::TERM);
    process.refuses().await;
    tunnel.write_all(b"still here").await.unwrap();
    read_until(&mut tunnel, "still here").await;
    tunnel.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut tunnel).await, "");
    assert_eq!(process.ended().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tcp_relay_outlives_the_begin_of_a_drain() {
    let echo = upstream(|mut stream| async move {
        let (mut reader, mut writer) = stream.split();
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    })
    .await;
    let setup = Setup::in_front_of(echo)
        .listener("protocol = \"tcp\"")
        .process(&drain("0s", "60s"));
    let process = Process::start(&setup).await;
    let mut relay = process.connect(&[]).await;
    relay.write_all(b"before").await.unwrap();
    read_until(&mut relay, "before").await;
    process.signal(Signal::TERM);
    process.refuses().await;
    relay.write_all(b"after").await.unwrap();
    read_until(&mut relay, "after").await;
    relay.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut relay).await, "");
    assert_eq!(process.ended().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_drain_timeout_cuts_what_is_open_and_exits_1_with_the_count() {
    let stage = Stage::new().await;
    let setup = Setup::in_front_of(stage.address).process(&drain("0s", "500ms"));
    let process = Process::start(&setup).await;
    let (mut one, mut other) = (streaming(&process).await, streaming(&process).await);
    process.signal(Signal::TERM);
    let (code, log) = process.ended().await;
    assert_eq!(code, Some(1), "{log}");
    assert!(
        log.contains("hybridge: 2 connections were cut at the end of the drain"),
        "{log}"
    );
    assert_eq!(log.matches("outcome=\"cut\"").count(), 2, "{log}");
    for client in [&mut one, &mut other] {
        let mut rest = Vec::new();
        let _ = within(client.read_to_end(&mut rest)).await;
        assert!(
            !rest.ends_with(b"0\r\n\r\n"),
            "a cut must not look like an end"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    let stage = Stage::new().await;
    let setup = Setup::in_front_of(stage.address).process(&drain("1h", "1h"));
    let process = Process::start(&setup).await;
    let _events = streaming(&process).await;
    process.signal(Signal::INT);
    process.not_ready().await;
    process.signal(Signal::TERM);
    let (code, log) = process.ended().await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("hybridge: 1 connection was cut"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_skips_the_delay_says_so_and_lets_open_work_finish() {
    let stage = Stage::new().await;
    let setup = Setup::in_front_of(stage.address).process(&drain("1h", "1h"));
    let process = Process::start(&setup).await;
    let mut events = streaming(&process).await;
    process.signal(Signal::INT);
    process.refuses().await;
    process
        .logs("delay_seconds=0.0 timeout_seconds=3600.0 open=")
        .await;
    assert!(process.log().contains("a second Ctrl-C ends at once"));
    stage.finish();
    assert!(read_to_end(&mut events).await.ends_with("0\r\n\r\n"));
    assert_eq!(process.ended().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_without_open_work_exits_0() {
    let stage = Stage::new().await;
    let setup = Setup::in_front_of(stage.address).process(&drain("1h", "1h"));
    let process = Process::start(&setup).await;
    process.signal(Signal::TERM);
    process.not_ready().await;
    process.signal(Signal::TERM);
    assert_eq!(process.ended().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_reloads_certificates_during_a_drain_too() {
    let stage = Stage::new().await;
    let setup = Setup::in_front_of(stage.address).process(&drain("1h", "1h"));
    let process = Process::start(&setup).await;
    process.signal(Signal::TERM);
    process.not_ready().await;
    process.signal(Signal::HUP);
    // Said for a request only: the watch of the files is silent about a pair that did not change.
    process.logs("certificate unchanged").await;
    let leaf = process.pki.leaf(&["localhost", "renewed.example"]);
    leaf.write_to(process.dir.path());
    process.signal(Signal::HUP);
    process.logs("certificate reloaded").await;
    eventually("the renewed certificate", async || {
        process.admin("/status").await.1.contains("renewed.example")
    })
    .await;
    let config = client_config(&process.ca, &["http/1.1"]);
    process.try_connect(config).await.unwrap();
    process.signal(Signal::TERM);
    process.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_it_as_pid_1() {
    let stage = Stage::new().await;
    let setup = Setup::in_front_of(stage.address).process(&drain("0s", "60s"));
    let pki = TestPki::new(setup.algorithm);
    let leaf = pki.leaf(&["localhost"]);
    let wrapper = [
        "unshare",
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "--kill-child",
    ];
    let process = match Process::start_with(&setup, pki, &leaf, &wrapper).await {
        Ok(process) => process,
        Err(log) if log.contains("unshare") => {
            return eprintln!("SKIPPED: no PID namespace to be had here: {log}");
        }
        Err(log) => panic!("{log}"),
    };
    let mut events = streaming(&process).await;
    process.signal(Signal::TERM);
    process.refuses().await;
    stage.finish();
    assert!(read_to_end(&mut events).await.ends_with("0\r\n\r\n"));
    assert_eq!(process.ended().await.0, Some(0));
}
