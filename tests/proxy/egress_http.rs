//! Apps that speak HTTP through an egress: what the server gets, what the app hears, and which connections
//! are used again.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use hybridge::certgen::Algorithm;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::egress::{app, capturing, egress, to_the_end};
use crate::support::http::{
    Message, checksum, counted_app, echo_app, h2_app, h2_exchange, h2_request, h2_response, nobody,
    ok, pattern, read_response, send_h2,
};
use crate::support::openssl::server::Server;
use crate::support::pki::TestPki;
use crate::support::{Setup, Sidecar, read_head, upstream, within};

const GROUP: &str = "X25519MLKEM768";
const HANDSHAKES: &str = "hybridge_handshakes_total";
const FAILED: &str = "hybridge_handshake_failures_total";
const UPSTREAM: &str = "hybridge_upstream_failures_total";

/// An egress to a server that `far` stands for.
fn to(far: &Sidecar, more: &str) -> Sidecar {
    let port = far.address.port();
    let ca = std::str::from_utf8(&far.ca).unwrap();
    let more = format!("protocol = \"http\"\n{more}");
    egress(&format!("localhost:{port}"), ca, "", &more)
}

/// A TLS server in front of `upstream` that reads nothing and adds nothing.
fn bare(upstream: SocketAddr) -> Sidecar {
    Setup::in_front_of(upstream)
        .listener("protocol = \"tcp\"")
        .start()
}

async fn request(stream: &mut TcpStream, text: &str) -> Message {
    stream.write_all(text.as_bytes()).await.unwrap();
    within(read_response(stream, false)).await.unwrap()
}

async fn get(egress: &Sidecar) -> Message {
    let mut stream = TcpStream::connect(egress.address).await.unwrap();
    request(&mut stream, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await
}

async fn http2(egress: &Sidecar) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(egress.address).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender.ready().await.unwrap()
}

/// A signature over `host` would not verify if it were rewritten; the server decides who an app is.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_gets_the_request_as_the_app_wrote_it() {
    let far = bare(echo_app().await);
    let egress = to(&far, "");
    let mut stream = TcpStream::connect(egress.address).await.unwrap();
    let head = "PUT /a?b=c HTTP/1.1\r\nhost: s3.example:9002\r\nx-forwarded-for: 10.1.2.3\r\nauthorization: AWS4\r\nconnection: keep-alive, x-hop\r\nx-hop: 1\r\ncontent-length: 5\r\n\r\nhello";
    let response = request(&mut stream, head).await;
    let seen = String::from_utf8(response.body.clone()).unwrap();
    let expected = format!(
        "PUT /a?b=c HTTP/1.1\r\nhost: s3.example:9002\r\nx-forwarded-for: 10.1.2.3\r\nauthorization: AWS4\r\ncontent-length: 5\n\n5 bytes, sum {}\n",
        checksum(0, b"hello")
    );
    assert_eq!(seen, expected);
    assert_eq!(response.field("x-tls-key-exchange"), Some(GROUP));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_servers_own_word_on_the_keys_does_not_reach_the_app() {
    let lying = crate::support::http::app(|_| async {
        b"HTTP/1.1 200 OK\r\nX-TLS-Key-Exchange: none\r\ncontent-length: 0\r\n\r\n".to_vec()
    });
    let far = bare(lying.await);
    let egress = to(&far, "");
    assert_eq!(get(&egress).await.field("x-tls-key-exchange"), Some(GROUP));
    let client = http2(&egress).await;
    let asked = h2_request("GET", "/").body(()).unwrap();
    let (response, ..) = h2_exchange(&client, asked, Bytes::new()).await.unwrap();
    let said: Vec<_> = response
        .headers()
        .get_all("x-tls-key-exchange")
        .iter()
        .collect();
    assert_eq!(said, [GROUP]);
}

/// Requests use one connection, tickets or not, and a closed one is replaced.
#[tokio::test(flavor = "multi_thread")]
async fn connections_to_the_server_are_kept_and_replaced() {
    let (address, accepted) = counted_app(|request| async move {
        let mut response = ok(&request.body);
        if request.first_line().contains("/last") {
            response.splice(15..15, *b"\r\nconnection: close");
        }
        response
    })
    .await;
    let far = bare(address);
    let egress = to(&far, "");
    // One connection of an app, so that one worker serves it: each keeps connections of its own.
    let mut stream = TcpStream::connect(egress.address).await.unwrap();
    let asked = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    for _ in 0..3 {
        assert_eq!(request(&mut stream, asked).await.status(), 200);
    }
    assert_eq!(accepted.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert_eq!(egress.metric(HANDSHAKES, &[("group", GROUP)]).await, 1.0);
    let last = request(&mut stream, "GET /last HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(last.status(), 200);
    assert_eq!(request(&mut stream, asked).await.status(), 200);
    assert_eq!(accepted.load(std::sync::atomic::Ordering::SeqCst), 2);
    let kinds = [("kind", "resumed")];
    assert_eq!(egress.metric(HANDSHAKES, &kinds).await, 1.0);
}

/// What each side counts of the same bytes: a listener counts its tickets with the handshake.
#[tokio::test(flavor = "multi_thread")]
async fn both_sides_count_the_same_bytes() {
    let far = Setup::in_front_of(echo_app().await).start();
    let egress = to(&far, "");
    let body = pattern(300_000);
    let mut stream = TcpStream::connect(egress.address).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    let response = within(read_response(&mut stream, false)).await.unwrap();
    let seen = String::from_utf8(response.body).unwrap();
    assert!(
        seen.contains(&format!("sum {}", checksum(0, &body))),
        "{seen}"
    );
    // The evidence of the far side is what the near side says too.
    assert!(
        seen.contains("x-tls-key-exchange: X25519MLKEM768"),
        "{seen}"
    );
    let bytes = async |side: &Sidecar, family: &str, direction: &str| {
        let name = format!("hybridge_{family}");
        side.metric(&name, &[("direction", direction)]).await
    };
    for (family, ours, theirs) in [
        ("handshake_bytes_sum", "out", "in"),
        ("payload_bytes_total", "out", "in"),
        ("payload_bytes_total", "in", "out"),
        ("wire_bytes_total", "out", "in"),
    ] {
        assert_eq!(
            bytes(&egress, family, ours).await,
            bytes(&far, family, theirs).await,
            "{family} {ours}"
        );
    }
    let tickets = egress.metric("hybridge_ticket_bytes_total", &[]).await;
    assert!(tickets > 0.0);
    assert_eq!(
        bytes(&egress, "handshake_bytes_sum", "in").await + tickets,
        bytes(&far, "handshake_bytes_sum", "out").await
    );
    assert_eq!(
        bytes(&egress, "wire_bytes_total", "in").await - tickets,
        bytes(&far, "wire_bytes_total", "out").await
    );
}

/// gRPC goes over HTTP/2 to the server, agreed by ALPN, with its trailers; many streams share a connection.
#[tokio::test(flavor = "multi_thread")]
async fn grpc_goes_over_http2_end_to_end() {
    let service = h2_app(|request, mut respond| async move {
        assert_eq!(request.headers()["te"], "trailers");
        let (_, mut body) = request.into_parts();
        let mut stream = respond.send_response(h2_response(200), false).unwrap();
        while let Some(piece) = body.data().await {
            let piece = piece.unwrap();
            body.flow_control().release_capacity(piece.len()).unwrap();
            send_h2(&mut stream, piece, false).await.unwrap();
        }
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        stream.send_trailers(trailers).unwrap();
    })
    .await;
    let far = Setup::in_front_of(service).start();
    let egress = to(&far, "");
    let client = http2(&egress).await;
    let content = Bytes::from(pattern(200_000));
    for _ in 0..3 {
        let asked = h2_request("POST", "/a.B/C")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let exchanged = within(h2_exchange(&client, asked, content.clone())).await;
        let (response, body, trailers) = exchanged.unwrap();
        assert_eq!(response.headers()["x-tls-key-exchange"], GROUP);
        assert_eq!(body, content);
        assert_eq!(trailers.unwrap()["grpc-status"], "0");
    }
    assert_eq!(egress.metric(HANDSHAKES, &[]).await, 1.0);
    let protocol = [("protocol", "grpc"), ("code", "OK")];
    far.metric_is("hybridge_requests_total", &protocol, 3.0)
        .await;
}

/// `upstream-http` decides, whatever the app speaks; a server without `h2` in ALPN gets no HTTP/2.
#[tokio::test(flavor = "multi_thread")]
async fn http2_to_the_server_is_agreed_by_alpn_or_refused() {
    let app = echo_app().await;
    let far = Setup::in_front_of(app).start();
    let egress = to(&far, "upstream-http = \"http2\"");
    assert_eq!(get(&egress).await.status(), 200);
    let protocol = [("protocol", "http2")];
    far.metric_is("hybridge_requests_total", &protocol, 1.0)
        .await;
    let far = bare(app);
    let egress = to(&far, "upstream-http = \"http2\"");
    let response = get(&egress).await;
    assert_eq!(response.status(), 502);
    assert_eq!(response.body, b"Bad Gateway (no_common_alpn)\n");
    let reason = [("reason", "no_common_alpn")];
    assert_eq!(egress.metric(FAILED, &reason).await, 1.0);
    assert_eq!(egress.metric(HANDSHAKES, &[]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_a_response_with_its_reason() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let other = TestPki::new(Algorithm::EcdsaP256);
    let (_held, nobody) = nobody();
    let plain = upstream(|mut stream: TcpStream| async move {
        let _ = stream.read_u8().await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let asking = Server::new(&pki.leaf(&["localhost"])).asking(pki.ca_pem());
    let (asking, also) = (asking.listen(), asking.speaking(b"\x02h2").listen());
    let untrusted = Server::new(&other.leaf(&["localhost"])).listen();
    for (port, family, reason, version) in [
        (nobody.port(), UPSTREAM, "refused", 1),
        (plain.port(), FAILED, "not_tls", 1),
        (untrusted.address.port(), FAILED, "server_untrusted", 1),
        (asking.address.port(), FAILED, "server_refused_us", 1),
        (also.address.port(), FAILED, "server_refused_us", 2),
    ] {
        let more = format!("protocol = \"http\"\nupstream-http = \"http{version}\"");
        let egress = egress(&format!("localhost:{port}"), pki.ca_pem(), "", &more);
        let response = get(&egress).await;
        assert_eq!(response.status(), 502, "{reason}");
        let body = String::from_utf8(response.body).unwrap();
        assert!(body.contains(&format!("({reason})")), "{body}");
        assert_eq!(egress.metric(family, &[("reason", reason)]).await, 1.0);
        assert_eq!(egress.metric(HANDSHAKES, &[]).await, 0.0, "{reason}");
        let elsewhere = if family == FAILED { UPSTREAM } else { FAILED };
        assert_eq!(egress.metric(elsewhere, &[]).await, 0.0, "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_speaks_tls_itself_is_told_to_use_http() {
    let far = bare(echo_app().await);
    let egress = to(&far, "");
    let ended = app(egress.address, b"\x16\x03\x01\x00\x05hello").await;
    let text = String::from_utf8(ended.received).unwrap();
    assert!(
        text.starts_with("HTTP/1.1 400 ") && text.contains("use http://"),
        "{text}"
    );
    let reason = [("reason", "double_tls")];
    assert_eq!(egress.metric(FAILED, &reason).await, 1.0);
    assert_eq!(egress.metric(HANDSHAKES, &[]).await, 0.0);
}

/// Without a length the end of the connection is the end of the body: a cut one must not look whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_cut_short_does_not_end_in_an_orderly_way() {
    let cutting = upstream(|mut stream: TcpStream| async move {
        let _ = read_head(&mut stream).await;
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.write_all(&vec![7; 500_000]).await;
        let _ = stream.shutdown().await;
    });
    let far = bare(cutting.await);
    let egress = to(&far, "");
    let mut stream = TcpStream::connect(egress.address).await.unwrap();
    let asked = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    stream.write_all(asked).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    // It waits for no more of an app that has everything: nothing else tells it of the end.
    let hears = tokio::time::timeout(Duration::from_secs(4), to_the_end(&mut stream));
    let ended = hears.await.expect("the app hears of the end at once");
    assert!(
        ended.reset && ended.received.len() > 500_000,
        "{}",
        ended.received.len()
    );
    let reason = [("reason", "broken_body")];
    egress.metric_reaches(UPSTREAM, &reason, 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_goes_through() {
    let stage = crate::support::stage::Stage::new().await;
    let far = bare(stage.address);
    let egress = to(&far, "");
    let mut stream = TcpStream::connect(egress.address).await.unwrap();
    let asked = "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let response = request(&mut stream, asked).await;
    assert_eq!(response.status(), 101);
    assert_eq!(response.field("x-tls-key-exchange"), Some(GROUP));
    stream.write_all(b"frame").await.unwrap();
    let mut echoed = [0; 5];
    within(stream.read_exact(&mut echoed)).await.unwrap();
    assert_eq!(&echoed, b"frame");
}

/// Requests in absolute form, each to the target that it names, over connections that are kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_forward_proxy_takes_requests_in_absolute_form() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let far = bare(echo_app().await);
    let port = far.address.port();
    let ca = std::str::from_utf8(&far.ca).unwrap();
    let rules = format!(
        "capture = \"http-proxy\"\ntargets-allowed = [\"localhost:{port}\", \"127.0.0.1:{port}\"]"
    );
    let egress = capturing(&rules, ca, "");
    let mut stream = TcpStream::connect(egress.address).await.unwrap();
    for host in ["localhost", "localhost", "127.0.0.1"] {
        let asked = format!(
            "GET http://{host}:{port}/a?b HTTP/1.1\r\nhost: {host}:{port}\r\nproxy-authorization: Basic eA==\r\nproxy-connection: keep-alive\r\n\r\n"
        );
        let response = request(&mut stream, &asked).await;
        let seen = String::from_utf8(response.body.clone()).unwrap();
        let expected = format!("GET /a?b HTTP/1.1\r\nhost: {host}:{port}\n\n0 bytes");
        assert!(seen.starts_with(&expected), "{seen}");
        assert_eq!(response.field("x-tls-key-exchange"), Some(GROUP));
    }
    assert_eq!(egress.metric(HANDSHAKES, &[]).await, 2.0);
    // A later request may not go where the first could not.
    let refused = "GET http://example.org/ HTTP/1.1\r\nhost: example.org\r\n\r\n";
    let response = request(&mut stream, refused).await;
    assert_eq!(response.status(), 403);
    assert_eq!(response.body, b"Forbidden (target_refused)\n");
    let reason = [("reason", "target_refused")];
    assert_eq!(egress.metric(UPSTREAM, &reason).await, 1.0);
    // Nor is a tunnel behind it, which is no fault of its target.
    let tunnel = format!("CONNECT localhost:{port} HTTP/1.1\r\nhost: a\r\n\r\n");
    let mut stream = TcpStream::connect(egress.address).await.unwrap();
    let first = format!("GET http://localhost:{port}/ HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(request(&mut stream, &first).await.status(), 200);
    let response = request(&mut stream, &tunnel).await;
    assert_eq!(response.body, b"Not Implemented (connect_not_served)\n");
    // A server that cannot be verified is no reason to answer in plaintext.
    let egress = capturing(&rules, pki.ca_pem(), "");
    let mut stream = TcpStream::connect(egress.address).await.unwrap();
    let asked = format!("GET http://localhost:{port}/ HTTP/1.1\r\nhost: a\r\n\r\n");
    let response = request(&mut stream, &asked).await;
    assert_eq!(response.body, b"Bad Gateway (server_untrusted)\n");
}

/// Without a length an orderly end would be the response's: an app that ends its direction early counts as gone.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_ends_its_direction_early_is_reset() {
    let waiting = upstream(|mut stream: TcpStream| async move {
        let _ = read_head(&mut stream).await;
        let begun = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
        let _ = stream.write_all(begun.as_bytes()).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let far = bare(waiting.await);
    let egress = to(&far, "");
    let ended = app(egress.address, b"GET / HTTP/1.0\r\nhost: a\r\n\r\n").await;
    assert!(ended.reset, "{ended:?}");
    let outcome = [("outcome", "client_gone")];
    egress
        .metric_reaches("hybridge_connections_total", &outcome, 1.0)
        .await;
}
