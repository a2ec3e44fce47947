//! Clients that hold the admin port keep no probe waiting.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{quiet_app, request, with_probes};
use crate::support::program::Program;
use crate::support::{Setup, Sidecar, eventually, read_head, upstream, within};

/// Clients that hold the admin port: connected, and what they send.
async fn hold(admin: SocketAddr, count: usize, sent: &[u8]) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(admin).await.unwrap();
        stream.write_all(sent).await.unwrap();
        held.push(stream);
    }
    held
}

/// More at once than there are permits, then more of them all the time.
#[tokio::test(flavor = "multi_thread")]
async fn silent_clients_of_the_admin_port_keep_no_probe_waiting() {
    let sidecar = Setup::in_front_of(quiet_app().await).start();
    let admin = sidecar.admin;
    let _held = hold(admin, 260, b"").await;
    let flood = tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            held.append(&mut hold(admin, 3, b"").await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    probes_are_answered(&sidecar).await;
    flood.abort();
    let shed = [("listener", "admin"), ("reason", "handshake")];
    assert!(sidecar.metric("hybridge_shed_total", &shed).await > 200.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_waiting_clients_of_the_admin_port_keep_no_probe_waiting() {
    let sidecar = Setup::in_front_of(quiet_app().await).start();
    for sent in [
        "GET /livez HTTP/1.1\r\nx: ",
        "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /drain/wait?timeout=300s HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        let held = hold(sidecar.admin, 300, sent.as_bytes()).await;
        probes_are_answered(&sidecar).await;
        drop(held);
    }
}

/// A probe that waits for the app has work: it does not make room for clients that say nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_probe_of_a_slow_app_survives_a_flood_of_silent_clients() {
    let app = upstream(|mut stream| async move {
        while read_head(&mut stream).await.is_some() {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            let response = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            if stream.write_all(response).await.is_err() {
                return;
            }
        }
    })
    .await;
    let probes = format!(
        r#"[{{"path":"/probe/app/liveness","kind":"http","address":"127.0.0.1","port":{},"target":"/","timeoutSeconds":20}}]"#,
        app.port()
    );
    let process = with_probes(app, &probes).await;
    let admin = process.admin;
    let probe = tokio::spawn(async move { request(admin, "GET", "/probe/app/liveness").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let _held = hold(admin, 200, b"").await;
    assert_eq!(within(probe).await.unwrap().0, 200);
}

/// Heads that never end, on as many connections as a network gets: each is refused at 16 KiB.
#[tokio::test(flavor = "multi_thread")]
async fn endless_heads_cost_the_admin_port_little_memory() {
    let (program, admin) =
        Program::start_in(quiet_app().await, "http", Path::new("/dev/null"), 16).await;
    eventually("the admin port to listen", async || {
        TcpStream::connect(admin).await.is_ok()
    })
    .await;
    let before = program.memory("RssAnon");
    let mut head = b"GET /livez HTTP/1.1\r\nhost: a\r\nx: ".to_vec();
    head.resize(400_000, b'y');
    let mut held = Vec::new();
    for _ in 0..32 {
        let mut stream = TcpStream::connect(admin).await.unwrap();
        // It is cut in the middle.
        let _ = stream.write_all(&head).await;
        let mut response = Vec::new();
        let _ = within(stream.read_to_end(&mut response)).await;
        let response = String::from_utf8_lossy(&response).into_owned();
        assert!(
            response.is_empty() || response.starts_with("HTTP/1.1 431 "),
            "{response}"
        );
        held.push(stream);
    }
    // Those that stay below that cost as much as they send.
    for _ in 0..32 {
        let mut stream = TcpStream::connect(admin).await.unwrap();
        stream.write_all(&head[..15_000]).await.unwrap();
        held.push(stream);
    }
    assert_eq!(request(admin, "GET", "/livez").await.0, 200);
    let grown = program.memory("RssAnon").saturating_sub(before);
    assert!(grown < 8 << 20, "{} KiB", grown >> 10);
}

async fn probes_are_answered(sidecar: &Sidecar) {
    for _ in 0..20 {
        for path in ["/livez", "/readyz"] {
            let probe = sidecar.admin(path);
            // The kubelet gives up after one second; this machine may be busy.
            let deadline = Duration::from_secs(3);
            let response = tokio::time::timeout(deadline, probe).await;
            assert_eq!(response.expect("no response in time").0, 200);
        }
    }
}
