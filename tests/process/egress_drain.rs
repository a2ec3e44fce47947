//! What a pod's deletion means for an egress: the hook drains at once, SIGTERM comes when the app has ended,
//! and until then the app may begin what it needs to save its state.

use std::fmt::Write as _;
use std::net::SocketAddr;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::egress::to_the_end;
use crate::support::process::Process;
use crate::support::stage::Stage;
use crate::support::{Setup, read_head, upstream, within};

#[tokio::test(flavor = "multi_thread")]
async fn an_egress_serves_after_the_hook_until_the_app_has_ended() {
    let stage = Stage::new().await;
    let server = Process::start(&Setup::in_front_of(stage.address)).await;
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.crt");
    std::fs::write(&ca, &server.ca).unwrap();
    let egress = format!(
        "[drain]\ndelay = \"0s\"\ntimeout = \"1h\"\n[[egress]]\nname = \"out\"\nlisten = \"127.0.0.1:0\"\ntarget = \"localhost:{}\"\ntls.ca = \"{}\"",
        server.address.port(),
        ca.display(),
    );
    let setup = Setup::in_front_of(stage.address).process(&egress);
    let pod = Process::start(&setup).await;
    let out = pod.egress(0).await;

    let hook = tokio::process::Command::new(env!("CARGO_BIN_EXE_hybridge"))
        .args(["ctl", "drain", "--admin", &pod.admin.to_string()])
        .output();
    assert!(within(hook).await.unwrap().status.success());
    pod.refuses().await;
    // No connection is open, and the app begins one after the other.
    for _ in 0..2 {
        let mut app = TcpStream::connect(out).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        app.write_all(request).await.unwrap();
        let mut answer = String::new();
        within(app.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    pod.signal(Signal::TERM);
    let (code, log) = pod.ended().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(TcpStream::connect(out).await.is_err());
}

/// A connection on which nothing was ever sent, such as a health check's or one that a pool keeps ready,
/// has nothing to lose: it neither holds up a drain nor counts as cut.
#[tokio::test(flavor = "multi_thread")]
async fn connections_without_a_byte_are_no_work_of_a_drain() {
    let stage = Stage::new().await;
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.crt");
    let pki = crate::support::pki::TestPki::new(hybridge::certgen::Algorithm::EcdsaP256);
    std::fs::write(&ca, pki.ca_pem()).unwrap();
    let mut process = "[drain]\ndelay = \"0s\"\ntimeout = \"4s\"\n".to_owned();
    for capture in ["socks5", "http-proxy"] {
        let _ = write!(
            process,
            "[[egress]]\nname = \"{capture}\"\nlisten = \"127.0.0.1:0\"\ncapture = \"{capture}\"\ntargets-allowed = [\"localhost:*\"]\ntls.ca = \"{}\"\n",
            ca.display()
        );
    }
    let setup = Setup::in_front_of(stage.address)
        .process(&process)
        .tls("handshake-timeout = \"1m\"");
    let pod = Process::start(&setup).await;
    let status: serde_json::Value = serde_json::from_str(&pod.admin("/status").await.1).unwrap();
    let mut silent = vec![TcpStream::connect(pod.address).await.unwrap()];
    for egress in status["egresses"].as_array().unwrap() {
        let address = egress["addresses"][0].as_str().unwrap();
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    pod.metric_reaches("hybridge_connections_open", &[], 3.0)
        .await;
    pod.signal(Signal::TERM);
    let (code, log) = pod.ended().await;
    assert_eq!(code, Some(0), "{log}");
    for sign in ["was cut", "were cut", "in time", "client_gone"] {
        assert!(!log.contains(sign), "{log}");
    }
    for sign in ["no_hello", "drained"] {
        assert!(log.contains(sign), "{log}");
    }
}

/// An app whose response has begun and never ends; HTTP/1.0 gets it without a length.
async fn endless() -> SocketAddr {
    upstream(|mut stream| async move {
        let _ = read_head(&mut stream).await;
        let begun = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
        let _ = stream.write_all(begun).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await
}

/// Plaintext has no close_notify: an app must not take a response for a whole one that the end of the process cut,
/// whether the drain's time is over or somebody says so a second time.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_end_of_the_process_cuts_is_a_reset() {
    let server = Setup::in_front_of(endless().await).start();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.crt");
    std::fs::write(&ca, &server.ca).unwrap();
    let target = format!("localhost:{}", server.address.port());
    for (timeout, signals) in [("1s", 1), ("1h", 2)] {
        let mut process = format!("[drain]\ndelay = \"0s\"\ntimeout = \"{timeout}\"\n");
        for (name, section) in [
            ("raw", format!("target = \"{target}\"")),
            (
                "http",
                format!("target = \"{target}\"\nprotocol = \"http\""),
            ),
            (
                "http-proxy",
                format!("capture = \"http-proxy\"\ntargets-allowed = [\"{target}\"]"),
            ),
        ] {
            let _ = write!(
                process,
                "[[egress]]\nname = \"{name}\"\nlisten = \"127.0.0.1:0\"\n{section}\ntls.ca = \"{}\"\n",
                ca.display()
            );
        }
        let setup = Setup::in_front_of(server.address).process(&process);
        let pod = Process::start(&setup).await;
        let status: serde_json::Value =
            serde_json::from_str(&pod.admin("/status").await.1).unwrap();
        let mut apps = Vec::new();
        for egress in status["egresses"].as_array().unwrap() {
            let name = egress["name"].as_str().unwrap().to_owned();
            let address = egress["addresses"][0].as_str().unwrap();
            let mut app = TcpStream::connect(address).await.unwrap();
            let asked = match name.as_str() {
                "http-proxy" => format!("GET http://{target}/ HTTP/1.0\r\n\r\n"),
                _ => "GET / HTTP/1.0\r\nhost: a\r\n\r\n".to_owned(),
            };
            app.write_all(asked.as_bytes()).await.unwrap();
            let mut received = Vec::new();
            while !received.ends_with(b"hello") {
                received.push(within(app.read_u8()).await.unwrap());
            }
            apps.push((name, app));
        }
        for _ in 0..signals {
            pod.signal(Signal::TERM);
            pod.logs("draining").await;
        }
        for (name, app) in &mut apps {
            assert!(to_the_end(app).await.reset, "{name}, {signals} signals");
        }
        let (_, log) = pod.ended().await;
        assert!(log.contains("level=WARN"), "{log}");
    }
}
