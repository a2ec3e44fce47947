//! The admin port: every page, the reasons of `/readyz`, `/drain/wait`, and who may change state.

mod drain_wait;
mod floods;
mod hooks;

use std::net::SocketAddr;

use crate::support::pki::TestPki;
use crate::support::process::Process;
use crate::support::stage::Stage;
use crate::support::{Setup, answering, read_head, within};
use hybridge::config::Config;
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends a request without a body; status, head, body.
async fn request(admin: SocketAddr, method: &str, path: &str) -> (u16, String, String) {
    let request = format!("{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let mut stream = TcpStream::connect(admin).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head[9..12].parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

async fn quiet_app() -> SocketAddr {
    answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await
}

/// A process with this table of probes.
async fn with_probes(app: SocketAddr, probes: &str) -> Process {
    let setup = Setup::in_front_of(app).process("[drain]\ndelay = \"0s\"");
    let pki = TestPki::new(setup.algorithm);
    let pair = pki.leaf(&["localhost", "127.0.0.1"]);
    let variable = format!("HYBRIDGE_PROBES={probes}");
    // It ends with the test: what a shell starts would outlive it.
    let wrapper = ["unshare", "--fork", "--kill-child", "env", &variable];
    let process = Process::start_with(&setup, pki, &pair, &wrapper).await;
    process.unwrap()
}

fn draining_setup(stage: &Stage) -> Setup {
    Setup::in_front_of(stage.address).process("[drain]\ndelay = \"0s\"\ntimeout = \"60s\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_that_serves_is_started_alive_and_ready() {
    let sidecar = Setup::in_front_of(quiet_app().await).start();
    for (path, body) in [
        ("/startupz", "ok\n"),
        ("/livez", "ok\n"),
        ("/readyz", "ready\n"),
    ] {
        assert_eq!(sidecar.admin(path).await, (200, body.to_owned()), "{path}");
    }
    let (status, _, body) = request(sidecar.admin, "HEAD", "/readyz").await;
    assert_eq!((status, body.as_str()), (200, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_page_is_prometheus_text() {
    let sidecar = Setup::in_front_of(quiet_app().await).start();
    let (status, head, body) = request(sidecar.admin, "GET", "/metrics").await;
    assert_eq!(status, 200);
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    for line in [
        "# TYPE hybridge_handshake_failures_total counter",
        "hybridge_connections_open{listener=\"test\"} 0",
        "hybridge_build_info{",
        "process_open_fds ",
    ] {
        assert!(body.contains(line), "no `{line}` in\n{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_page_states_what_runs_and_what_was_negotiated() {
    let app = quiet_app().await;
    let sidecar = Setup::in_front_of(app).start();
    drop(sidecar.connect(&["http/1.1"]).await);
    let completed = [("group", "X25519MLKEM768")];
    sidecar
        .metric_reaches("hybridge_handshakes_total", &completed, 1.0)
        .await;
    let (status, head, body) = request(sidecar.admin, "GET", "/status").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: application/json"), "{head}");
    let page: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(page["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(page["phase"], "running");
    assert_eq!(page["state"], "serving");
    let listener = &page["listeners"][0];
    assert_eq!(listener["name"], "test");
    assert_eq!(listener["addresses"][0], sidecar.address.to_string());
    assert_eq!(listener["protocol"], "http");
    assert_eq!(listener["upstream"], app.to_string());
    assert_eq!(listener["policy"], "hybrid-preferred");
    assert_eq!(listener["groups"][0], "X25519MLKEM768");
    assert_eq!(listener["cipher_suites"].as_array().unwrap().len(), 3);
    assert_eq!(listener["certificate_error"], Value::Null);
    let not_after = listener["certificate"]["not_after"].as_i64().unwrap();
    let until = hybridge::tls::credentials::rfc3339(not_after);
    assert_eq!(listener["certificate"]["valid_until"], until);
    assert!(listener["certificate"]["valid_from"].is_string());
    let names = listener["certificate"]["names"].to_string();
    assert!(names.contains("localhost"), "{names}");
    let handshakes = listener["handshakes"].to_string();
    assert!(handshakes.contains("X25519MLKEM768"), "{handshakes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_tells_the_private_key() {
    let sidecar = Setup::in_front_of(quiet_app().await).start();
    let key = std::fs::read_to_string(sidecar.dir.path().join("tls.key")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    for path in ["/status", "/metrics", "/readyz"] {
        let (_, page) = sidecar.admin(path).await;
        assert!(
            !page.contains(secret) && !page.contains("PRIVATE"),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_page_is_404_and_a_wrong_method_is_told() {
    let sidecar = Setup::in_front_of(quiet_app().await).start();
    for path in ["/", "/ready", "/metrics/", "/drain/wait/x", "/reload"] {
        let (status, body) = sidecar.admin(path).await;
        assert_eq!((status, body.as_str()), (404, "no such page\n"), "{path}");
    }
    for path in ["/drain", "/quit"] {
        let (status, body) = sidecar.admin(path).await;
        assert_eq!(status, 405, "{path}");
        assert!(body.contains("hybridge ctl"), "{body}");
    }
    assert_eq!(request(sidecar.admin, "DELETE", "/livez").await.0, 404);
    assert_eq!(sidecar.admin("/readyz").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_expires_while_serving_ends_readiness() {
    let setup = Setup::in_front_of(quiet_app().await);
    let pki = TestPki::new(setup.algorithm);
    let now = OffsetDateTime::now_utc();
    let until = now + Duration::seconds(5);
    let leaf = pki.leaf_valid(&["localhost"], now - Duration::hours(1), until);
    let process = Process::start_with(&setup, pki, &leaf, &[]).await.unwrap();
    process.not_ready().await;
    assert!(OffsetDateTime::now_utc() >= until - Duration::seconds(1));
    assert_eq!(
        process.admin("/readyz").await.1,
        "not ready\nlistener `test`: the certificate has expired\n"
    );
    assert_eq!(process.admin("/livez").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_that_is_quitting_takes_any_number_of_drain_orders() {
    let stage = Stage::new().await;
    let setup = draining_setup(&stage);
    let process = Process::start(&setup).await;
    let mut client = process.connect(&["http/1.1"]).await;
    client
        .write_all(b"GET /hold HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    process
        .metric_reaches("hybridge_requests_open", &[], 1.0)
        .await;
    assert_eq!(request(process.admin, "POST", "/quit").await.0, 202);
    process.refuses().await;
    for _ in 0..20 {
        let (status, ..) = request(process.admin, "POST", "/drain").await;
        assert!(matches!(status, 202 | 409), "{status}");
    }
    stage.finish();
    assert_eq!(process.ended().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_in_the_network_reads_pages_and_changes_nothing() {
    let Some(own) = address_in_the_network() else {
        return eprintln!("SKIPPED: this host has no address but loopback");
    };
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::in_front_of(quiet_app().await);
    TestPki::new(setup.algorithm)
        .leaf(&["localhost"])
        .write_to(dir.path());
    let loopback = "[admin]\nlisten = \"127.0.0.1:0\"";
    let everywhere = "[admin]\nlisten = \"0.0.0.0:0\"";
    let toml = setup.toml(&dir);
    assert!(toml.contains(loopback));
    let config = Config::parse("test.toml", &toml.replace(loopback, everywhere)).unwrap();
    let running = hybridge::run::Sidecar::start(config).unwrap();
    let port = running.admin_addresses()[0].port();
    let neighbour = SocketAddr::new(own, port);
    assert_eq!(request(neighbour, "GET", "/readyz").await.0, 200);
    for path in ["/drain", "/quit"] {
        let (status, _, body) = request(neighbour, "POST", path).await;
        assert_eq!(status, 403, "{path}");
        assert_eq!(body, "state changes are accepted only from loopback\n");
    }
    let local = SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(request(local, "POST", "/drain").await.0, 202);
}

/// The address this host would send from; nothing is sent.
fn address_in_the_network() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback() && !own.is_unspecified()).then_some(own)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_asked_for_over_one_connection_twice_is_answered_twice() {
    let sidecar = Setup::in_front_of(quiet_app().await).start();
    let mut stream = TcpStream::connect(sidecar.admin).await.unwrap();
    for _ in 0..2 {
        stream
            .write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let head = within(read_head(&mut stream)).await.unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let mut body = [0; 3];
        within(stream.read_exact(&mut body)).await.unwrap();
        assert_eq!(&body, b"ok\n");
    }
}
