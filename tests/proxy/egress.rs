//! How connections through an egress end: what came reaches the app first, and a truncated end is a reset.

use std::time::Duration;

use hybridge::certgen::Algorithm;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::egress::{app, egress, to_the_end};
use crate::support::http::{full, nobody};
use crate::support::openssl::server::{Act, Server};
use crate::support::pki::TestPki;
use crate::support::{Sidecar, eventually};

const CLOSED: &str = "hybridge_connections_total";
const UPSTREAM: &str = "hybridge_upstream_failures_total";
const MANY: usize = 2_000_000;

fn to(server: &Server, pki: &TestPki, more: &str) -> Sidecar {
    let port = server.listen().address.port();
    egress(&format!("localhost:{port}"), pki.ca_pem(), "", more)
}

/// Plaintext has no close_notify: an app must not take a cut transfer for a whole one.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_stream_reaches_the_app_whole_and_ends_in_a_reset() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let server = Server::new(&pki.leaf(&["localhost"])).act(Act::Cut(MANY));
    let egress = to(&server, &pki, "");
    let mut stream = TcpStream::connect(egress.address).await.unwrap();
    // A slow reader: what is on its way when the server is gone must not be dropped.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let ended = to_the_end(&mut stream).await;
    assert_eq!(ended.received.len(), MANY);
    assert!(ended.reset);
    let label = [("outcome", "upstream_broken")];
    egress.metric_reaches(CLOSED, &label, 1.0).await;
    egress
        .metric_reaches(UPSTREAM, &[("reason", "broken_body")], 1.0)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_end_is_one_and_half_a_close_is_half_a_close() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let server = Server::new(&pki.leaf(&["localhost"]));
    let egress = to(&server, &pki, "");
    let ended = app(egress.address, &vec![9; MANY]).await;
    assert_eq!((ended.received.len(), ended.reset), (MANY, false));
    let label = [("outcome", "closed")];
    egress.metric_reaches(CLOSED, &label, 1.0).await;
    assert_eq!(egress.metric(UPSTREAM, &[]).await, 0.0);
}

#[tokio::test]
async fn a_target_that_is_not_there_is_a_reset_with_a_reason() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let (_held, address) = nobody();
    let refused = format!("localhost:{}", address.port());
    for (target, reason) in [
        (refused.as_str(), "refused"),
        ("no-such-name.invalid:1", "resolve"),
    ] {
        let egress = egress(target, pki.ca_pem(), "", "");
        let ended = app(egress.address, b"ping").await;
        assert_eq!(
            (ended.received, ended.reset),
            (Vec::new(), true),
            "{target}"
        );
        let label = [("reason", reason)];
        egress.metric_reaches(UPSTREAM, &label, 1.0).await;
        let label = [("outcome", "upstream_broken")];
        egress.metric_reaches(CLOSED, &label, 1.0).await;
    }
}

/// A queue that is full lets no connection in, and no route leads to the broadcast address.
#[tokio::test]
async fn a_target_that_cannot_be_reached_is_a_reset_with_a_reason() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let (_socket, address, _fill) = full().await;
    for (target, reason) in [
        (address.to_string().as_str(), "timeout"),
        ("255.255.255.255:443", "unreachable"),
    ] {
        let more = "timeouts.connect-timeout = \"300ms\"";
        let egress = egress(target, pki.ca_pem(), "", more);
        let ended = app(egress.address, b"ping").await;
        assert_eq!(
            (ended.received, ended.reset),
            (Vec::new(), true),
            "{target}"
        );
        let label = [("reason", reason)];
        egress.metric_reaches(UPSTREAM, &label, 1.0).await;
    }
}

/// Nobody waits for a connection that its app has given up.
#[tokio::test]
async fn an_app_that_leaves_ends_the_attempt_to_connect() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let (_socket, address, _fill) = full().await;
    let more = "timeouts.connect-timeout = \"10m\"";
    let egress = egress(&address.to_string(), pki.ca_pem(), "", more);
    let stream = TcpStream::connect(egress.address).await.unwrap();
    egress
        .metric_is("hybridge_connections_open", &[], 1.0)
        .await;
    stream.set_zero_linger().unwrap();
    drop(stream);
    let label = [("outcome", "client_gone")];
    egress.metric_reaches(CLOSED, &label, 1.0).await;
    egress
        .metric_is("hybridge_connections_open", &[], 0.0)
        .await;
    assert_eq!(egress.metric(UPSTREAM, &[]).await, 0.0);
}

/// An address of IPv4 in IPv6's way of writing is what it is.
#[tokio::test]
async fn mapped_loopback_is_loopback() {
    let text = "admin.listen = \"none\"\n[[egress]]\nlisten = \"[::ffff:127.0.0.1]:0\"\ntarget = \"localhost:1\"\ntls.ca = \"CA\"";
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.crt");
    std::fs::write(&ca, TestPki::new(Algorithm::EcdsaP256).ca_pem()).unwrap();
    let text = text.replace("CA", &ca.display().to_string());
    let config = hybridge::config::Config::parse("mapped.toml", &text).unwrap();
    let running = hybridge::run::Sidecar::start(config).unwrap();
    let address = running.addresses("egress")[0];
    assert!(address.ip().is_loopback() && address.is_ipv4(), "{address}");
    assert!(app(address, b"ping").await.reset);
}

/// A name that leads back: addresses are known only when it is resolved.
#[tokio::test]
async fn a_name_that_is_the_egress_itself_is_a_loop() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let (held, address) = nobody();
    drop(held);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ca.crt"), pki.ca_pem()).unwrap();
    let text = format!(
        "admin.listen = \"none\"\n[[egress]]\nlisten = \"{address}\"\ntarget = \"localhost:{}\"\ntls.ca = \"{}/ca.crt\"",
        address.port(),
        dir.path().display()
    );
    let config = hybridge::config::Config::parse("loop.toml", &text).unwrap();
    let running = hybridge::run::Sidecar::start(config).unwrap();
    let ended = app(running.addresses("egress")[0], b"ping").await;
    assert_eq!((ended.received, ended.reset), (Vec::new(), true));
}

/// Nothing of ours is reached by a name either: the admin port obeys loopback.
#[tokio::test]
async fn a_name_that_is_the_admin_port_is_refused() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let (held, admin) = nobody();
    drop(held);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ca.crt"), pki.ca_pem()).unwrap();
    let text = format!(
        "admin.listen = \"{admin}\"\n[[egress]]\nlisten = \"127.0.0.1:0\"\ntarget = \"localhost:{}\"\ntls.ca = \"{}/ca.crt\"",
        admin.port(),
        dir.path().display()
    );
    let config = hybridge::config::Config::parse("admin.toml", &text).unwrap();
    let running = hybridge::run::Sidecar::start(config).unwrap();
    let egress = Sidecar {
        address: running.addresses("egress")[0],
        admin,
        ca: pki.ca_pem().into(),
        running: Some(running),
        pki,
        dir,
    };
    let ended = app(egress.address, b"ping").await;
    assert_eq!((ended.received, ended.reset), (Vec::new(), true));
    let label = [("reason", "loop")];
    egress.metric_reaches(UPSTREAM, &label, 1.0).await;
}

/// It goes through: what is inside is the app's business.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_speaks_tls_itself_is_relayed_and_counted() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let egress = to(&Server::new(&pki.leaf(&["localhost"])), &pki, "");
    let hello = b"\x16\x03\x01\x00\x05hello";
    assert_eq!(app(egress.address, hello).await.received, hello);
    let label = [("reason", "double_tls")];
    egress
        .metric_reaches("hybridge_handshake_failures_total", &label, 1.0)
        .await;
}

/// A trainer saves its checkpoint after SIGTERM: what an app begins while another connection is still
/// open goes through, and the process ends with the last of them.
#[tokio::test(flavor = "multi_thread")]
async fn an_egress_accepts_while_the_process_drains_and_ends_with_its_last_connection() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let mut egress = to(&Server::new(&pki.leaf(&["localhost"])), &pki, "");
    let mut open = TcpStream::connect(egress.address).await.unwrap();
    open.write_all(b"x").await.unwrap();
    open.read_u8().await.unwrap();
    let ending = tokio::spawn(egress.running.take().unwrap().shutdown());
    eventually("the drain to begin", async || {
        egress.admin("/status").await.1.contains("\"draining\"")
    })
    .await;
    assert_eq!(
        app(egress.address, b"checkpoint").await.received,
        b"checkpoint"
    );
    assert!(!ending.is_finished());
    open.shutdown().await.unwrap();
    assert!(!to_the_end(&mut open).await.reset);
    assert_eq!(ending.await.unwrap(), hybridge::run::End::Drained);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_only_where_it_is_asked_to() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let more = "timeouts.idle-timeout = \"200ms\"";
    let egress = to(&Server::new(&pki.leaf(&["localhost"])), &pki, more);
    let mut stream = TcpStream::connect(egress.address).await.unwrap();
    assert!(to_the_end(&mut stream).await.reset);
    let label = [("outcome", "idle_timeout")];
    egress.metric_reaches(CLOSED, &label, 1.0).await;
}
