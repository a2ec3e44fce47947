//! What waited for an app when a drain gave up counts as cut, though its peer had broken off long before.

use std::net::SocketAddr;
use std::time::Duration;

use hybridge::io::Transport as _;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::client::Client;
use crate::support::egress::to_the_end;
use crate::support::process::Process;
use crate::support::{Setup, upstream};

const MANY: usize = 1_000_000;
const PAYLOAD: &str = "hybridge_payload_bytes_total";

/// Sends much and breaks off once all of it was taken.
async fn breaking() -> SocketAddr {
    upstream(|mut stream| async move {
        let _ = stream.read_u8().await;
        stream.write_all(&vec![7; MANY]).await.unwrap();
        while stream.unacknowledged().unwrap_or(0) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    })
    .await
}

/// An app that reads nothing until its peer has ended.
async fn unreading() -> SocketAddr {
    upstream(|stream| async move {
        let _kept = stream;
        std::future::pending::<()>().await;
    })
    .await
}

/// A client that sends much and ends without close_notify.
async fn uploads(process: &Process) -> Client {
    let mut client = process.connect(&[]).await;
    client.write_all(&vec![7; MANY]).await.unwrap();
    client.flush().await.unwrap();
    process
        .metric_reaches(
            PAYLOAD,
            &[("listener", "test"), ("direction", "in")],
            MANY as f64,
        )
        .await;
    client.get_mut().0.shutdown().await.unwrap();
    client
}

/// An app that reads nothing of a stream that breaks off.
async fn downloads(process: &Process) -> TcpStream {
    let mut app = TcpStream::connect(process.egress(0).await).await.unwrap();
    app.write_u8(1).await.unwrap();
    let broken = [("listener", "out"), ("reason", "broken_body")];
    process
        .metric_reaches("hybridge_upstream_failures_total", &broken, 1.0)
        .await;
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_for_an_app_when_the_drain_gave_up_is_cut() {
    let server = Setup::in_front_of(breaking().await)
        .listener("protocol = \"tcp\"")
        .start();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.crt");
    std::fs::write(&ca, &server.ca).unwrap();
    for (timeout, signals) in [("1s", 1), ("1h", 2)] {
        let process = format!(
            "[drain]\ndelay = \"0s\"\ntimeout = \"{timeout}\"\n[[egress]]\nname = \"out\"\nlisten = \"127.0.0.1:0\"\ntarget = \"localhost:{}\"\ntls.ca = \"{}\"\n",
            server.address.port(),
            ca.display()
        );
        let setup = Setup::in_front_of(unreading().await)
            .listener("protocol = \"tcp\"")
            .process(&process);
        let process = Process::start(&setup).await;
        let _client = uploads(&process).await;
        let mut app = downloads(&process).await;
        for _ in 0..signals {
            process.signal(Signal::TERM);
            process.logs("draining").await;
        }
        let (code, log) = process.ended().await;
        assert_eq!(code, Some(1), "{signals} signals: {log}");
        let cut = log.lines().filter(|line| line.contains("outcome=\"cut\""));
        assert_eq!(cut.count(), 2, "{signals} signals: {log}");
        let ended = to_the_end(&mut app).await;
        assert!(ended.reset && ended.received.len() < MANY);
    }
}
