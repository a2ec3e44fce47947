//! Apps that name their targets: by CONNECT and by SOCKS5, each reply, and the rules on targets.

use std::net::SocketAddr;
use std::time::Duration;

use hybridge::certgen::Algorithm;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::Sidecar;
use crate::support::egress::{Ended, capturing, to_the_end};
use crate::support::http::nobody;
use crate::support::openssl::server::{Listening, Server};
use crate::support::pki::TestPki;
use crate::support::tunnel::{by_name, socks};
use crate::support::{eventually, read_head, within};

const UPSTREAM: &str = "hybridge_upstream_failures_total";

fn both(capture: &str) -> (Listening, Sidecar) {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let server = Server::new(&pki.leaf(&["localhost", "127.0.0.1"])).listen();
    let rules =
        "targets-allowed = [\"localhost:1024-65535\", \"127.0.0.0/8:1024-65535\", \"*.invalid:*\"]";
    let egress = format!("capture = \"{capture}\"\n{rules}");
    (server, capturing(&egress, pki.ca_pem(), ""))
}

/// A request for a tunnel, and the head of the response.
async fn connect(egress: SocketAddr, head: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(egress).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let response = within(read_head(&mut stream)).await.unwrap_or_default();
    (stream, response)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_by_connect_goes_where_the_app_says() {
    let (server, egress) = both("http-proxy");
    for host in ["localhost", "127.0.0.1"] {
        let target = format!("{host}:{}", server.address.port());
        let head = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n");
        let (mut stream, response) = connect(egress.address, &head).await;
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
        stream.write_all(b"ping").await.unwrap();
        stream.shutdown().await.unwrap();
        let ended = to_the_end(&mut stream).await;
        assert_eq!((&ended.received[..], ended.reset), (&b"ping"[..], false));
        assert_eq!(server.seen().await.group, "X25519MLKEM768");
        eventually("the target on the status page", async || {
            let (_, page) = egress.admin("/status").await;
            let status: serde_json::Value = serde_json::from_str(&page).unwrap();
            let last = &status["egresses"][0]["targets"][0];
            last["target"] == target && last["group"] == "X25519MLKEM768"
        })
        .await;
    }
}

/// A client may send what is for the server right behind its head.
#[tokio::test(flavor = "multi_thread")]
async fn what_follows_the_head_at_once_is_for_the_server() {
    let (server, egress) = both("http-proxy");
    let port = server.address.port();
    let head = format!("CONNECT localhost:{port} HTTP/1.1\r\nhost: a\r\n\r\nearly");
    let (mut stream, response) = connect(egress.address, &head).await;
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    stream.shutdown().await.unwrap();
    assert_eq!(to_the_end(&mut stream).await.received, b"early");
}

/// A socket that is closed with bytes unread is reset, and the app never reads why.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_an_app_that_is_still_sending() {
    let (_server, egress) = both("http-proxy");
    let head = "CONNECT example.org:443 HTTP/1.1\r\nhost: a\r\n\r\n";
    let (mut stream, response) =
        connect(egress.address, &(head.to_owned() + &"x".repeat(1 << 20))).await;
    assert!(response.starts_with("HTTP/1.1 403 "), "{response}");
    let ended = to_the_end(&mut stream).await;
    assert!(!ended.received.is_empty() && !ended.reset);
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_that_cannot_be_served_gets_a_status_and_a_reason() {
    let (_server, egress) = both("http-proxy");
    let (_held, address) = nobody();
    let refused = format!(
        "CONNECT 127.0.0.1:{} HTTP/1.1\r\nhost: a\r\n\r\n",
        address.port()
    );
    for (head, status, reason) in [
        (
            "CONNECT example.org:443 HTTP/1.1\r\nhost: a\r\n\r\n",
            403,
            "target_refused",
        ),
        (
            "CONNECT localhost:80 HTTP/1.1\r\nhost: a\r\n\r\n",
            403,
            "target_refused",
        ),
        (
            "CONNECT no.invalid:443 HTTP/1.1\r\nhost: a\r\n\r\n",
            502,
            "resolve",
        ),
        (&refused, 502, "refused"),
        (
            "GET http://example.org/ HTTP/1.1\r\nhost: example.org\r\n\r\n",
            403,
            "target_refused",
        ),
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", 400, "capture"),
        (
            "GET http://u@localhost:8000/ HTTP/1.1\r\nhost: a\r\n\r\n",
            400,
            "capture",
        ),
        ("CONNECT /x HTTP/1.1\r\nhost: a\r\n\r\n", 400, "capture"),
        ("CONNECT a\n\n", 400, "capture"),
        ("\x16\x03\x01\x00\x05hello\r\n\r\n", 400, "capture"),
    ] {
        let before = egress.metric(UPSTREAM, &[("reason", reason)]).await;
        let (mut stream, response) = connect(egress.address, head).await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(response.starts_with(&expected), "{head:?}: {response}");
        let ended = to_the_end(&mut stream).await;
        assert!(!ended.received.is_empty() && !ended.reset, "{head:?}");
        drop(stream);
        let label = [("reason", reason)];
        egress.metric_reaches(UPSTREAM, &label, before + 1.0).await;
    }
}

/// A request that may not go where it says is refused alike, whether it is the first of its connection or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_request_is_refused_as_a_later_one() {
    let (_server, egress) = both("http-proxy");
    for method in ["GET", "HEAD"] {
        let head = format!("{method} http://example.org/ HTTP/1.1\r\nhost: example.org\r\n\r\n");
        let (mut stream, response) = connect(egress.address, &head).await;
        assert!(response.starts_with("HTTP/1.1 403 "), "{response}");
        let timing = "server-timing: hybridge;desc=\"target_refused\"";
        assert!(response.contains(timing), "{response}");
        let rest = to_the_end(&mut stream).await.received;
        assert_eq!(rest.is_empty(), method == "HEAD", "{}", rest.escape_ascii());
    }
    let refused = [("code", "4xx")];
    egress
        .metric_reaches("hybridge_requests_total", &refused, 2.0)
        .await;
    for head in [
        "CONNECT a\n\n",
        "CONNECT example.org:443 HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        let (mut stream, _) = connect(egress.address, head).await;
        to_the_end(&mut stream).await;
    }
    let long = format!(
        "CONNECT a:1 HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "x".repeat(70_000)
    );
    let (mut stream, response) = connect(egress.address, &long).await;
    assert!(response.starts_with("HTTP/1.1 431 "), "{response}");
    let rest = to_the_end(&mut stream).await.received;
    assert_eq!(rest, b"the head is too large\n");
    let outcome = [("outcome", "protocol_error")];
    egress
        .metric_reaches("hybridge_connections_total", &outcome, 5.0)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn socks5_goes_where_the_app_says_and_refuses_in_its_own_words() {
    let (server, egress) = both("socks5");
    let port = server.address.port();
    let by_address = [&[5, 1, 0, 1, 127, 0, 0, 1][..], &port.to_be_bytes()].concat();
    for request in [by_name("localhost", port), by_address] {
        let (mut stream, code) = socks(egress.address, &request).await;
        assert_eq!(code, 0);
        stream.write_all(b"ping").await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(to_the_end(&mut stream).await.received, b"ping");
        assert_eq!(server.seen().await.group, "X25519MLKEM768");
    }
    let (_held, nobody) = nobody();
    let bind = [5, 2, 0, 1, 127, 0, 0, 1, 4, 1];
    for (request, code) in [
        (by_name("example.org", 443), 2),
        (by_name("no.invalid", 443), 4),
        (by_name("localhost", nobody.port()), 5),
        (bind.to_vec(), 7),
    ] {
        assert_eq!(socks(egress.address, &request).await.1, code);
    }
    let label = [("reason", "target_refused")];
    egress.metric_reaches(UPSTREAM, &label, 1.0).await;
}

/// What is no SOCKS5 of ours ends, and costs no panic.
#[tokio::test]
async fn other_versions_and_methods_are_refused() {
    let (_server, egress) = both("socks5");
    for (sent, expected) in [
        (&b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00"[..], &b""[..]),
        (b"\x05\x01\x02", b"\x05\xff"),
        (b"GET / HTTP/1.1\r\n\r\n", b""),
    ] {
        let mut stream = TcpStream::connect(egress.address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut received = Vec::new();
        let _ = within(stream.read_to_end(&mut received)).await;
        assert_eq!(received, expected, "{sent:?}");
    }
    assert_eq!(egress.metric("hybridge_panics_total", &[]).await, 0.0);
}

/// A TCP health check, or an app that changed its mind: no upstream failed.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_goes_before_it_names_a_target_is_no_failure() {
    for capture in ["http-proxy", "socks5"] {
        let (_server, egress) = both(capture);
        for said in [&b""[..], b"C", b"\x05"] {
            let mut stream = TcpStream::connect(egress.address).await.unwrap();
            stream.write_all(said).await.unwrap();
        }
        let gone = [("outcome", "client_gone")];
        egress
            .metric_is("hybridge_connections_total", &gone, 3.0)
            .await;
        assert_eq!(egress.metric(UPSTREAM, &[]).await, 0.0, "{capture}");
    }
}

/// An app that falls silent within what it says is told so, and the log has it; one that said nothing is not worth it.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_does_not_finish_naming_its_target_is_told_so() {
    let told = "HTTP/1.1 408 Request Timeout\r\n";
    let http: &[(&[u8], &[u8])] = &[
        (b"", b""),
        (b"CONNECT localho", told.as_bytes()),
        (b"GET http://localh", told.as_bytes()),
        (b"GET / HTTP/1.1\r\nhost: x\r\n", told.as_bytes()),
    ];
    let socks: &[(&[u8], &[u8])] = &[
        (b"\x05", b""),
        (b"\x05\x01\x00\x05\x01", b"\x05\x00\x05\x01\x00"),
    ];
    let sides = [("http-proxy", http), ("socks5", socks)];
    let sides = sides.map(|(capture, cases)| (both(capture), cases));
    let mut apps = Vec::new();
    for ((_, egress), cases) in &sides {
        for (said, told) in *cases {
            let mut app = TcpStream::connect(egress.address).await.unwrap();
            app.write_all(said).await.unwrap();
            apps.push((app, said, told));
        }
    }
    tokio::time::sleep(Duration::from_secs(9)).await;
    for (mut app, said, told) in apps {
        let Ended { received, reset } = to_the_end(&mut app).await;
        assert!(!reset, "{}", said.escape_ascii());
        let begins = received.starts_with(told) && received.is_empty() == told.is_empty();
        assert!(
            begins,
            "{}: {}",
            said.escape_ascii(),
            received.escape_ascii()
        );
    }
    for (((_, egress), cases), unfinished) in sides.iter().zip([3.0, 2.0]) {
        let failed = [("reason", "capture")];
        egress.metric_is(UPSTREAM, &failed, unfinished).await;
        let ended = [("outcome", "timeout")];
        let all = cases.len() as f64;
        egress
            .metric_is("hybridge_connections_total", &ended, all)
            .await;
    }
}

/// One that says nothing makes room for one that does: as long as it may take, it holds up nobody.
#[tokio::test(flavor = "multi_thread")]
async fn silent_apps_do_not_fill_a_capturing_egress() {
    for (capture, begun) in [("socks5", &b"\x05"[..]), ("http-proxy", b"CONNECT loc")] {
        let pki = TestPki::new(Algorithm::EcdsaP256);
        let egress = format!(
            "capture = \"{capture}\"\ntargets-allowed = [\"localhost:*\"]\nlimits.max-connections = 2"
        );
        let egress = capturing(&egress, pki.ca_pem(), "");
        let _silent = TcpStream::connect(egress.address).await.unwrap();
        let mut half = TcpStream::connect(egress.address).await.unwrap();
        half.write_all(begun).await.unwrap();
        egress
            .metric_reaches("hybridge_connections_open", &[], 2.0)
            .await;
        let asked: (&[u8], &[u8]) = match capture {
            "socks5" => (b"\x05\x01\x00", b"\x05\x00"),
            _ => (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 400"),
        };
        for _ in 0..2 {
            let mut app = TcpStream::connect(egress.address).await.unwrap();
            app.write_all(asked.0).await.unwrap();
            let mut said = vec![0; asked.1.len()];
            within(app.read_exact(&mut said)).await.unwrap();
            assert_eq!(said, asked.1, "{capture}");
        }
        let shed = egress
            .metric("hybridge_shed_total", &[("reason", "idle")])
            .await;
        assert!(shed >= 1.0, "{capture}: {shed}");
    }
}
