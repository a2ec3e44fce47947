//! A tunnel from app to app: an egress asks a listener of protocol tunnel for the port that the app named.

use std::net::SocketAddr;
use std::time::Duration;

use hybridge::io::Transport as _;
use hybridge::run::End;
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::egress::{app, to_the_end};
use crate::support::http::nobody;
use crate::support::tunnel::{NAMED, RANK, by_name, far, near, socks};
use crate::support::{
    Setup, Sidecar, answering, client_config, connect, eventually, read_head, upstream, within,
};

const UPSTREAM: &str = "hybridge_upstream_failures_total";
const CLOSED: &str = "hybridge_connections_total";
const HANDSHAKES: &str = "hybridge_handshakes_total";
const PAYLOAD: &str = "hybridge_payload_bytes_total";
const MANY: usize = 2_000_000;

fn both(capture: &str) -> (Sidecar, Sidecar) {
    let far = far("", NAMED);
    let near = near(&far, capture, RANK);
    (far, near)
}

/// An app that sends back what comes, and ends when its peer has.
async fn echo() -> SocketAddr {
    upstream(|mut stream| async move {
        let (mut read, mut write) = stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
        let _ = write.shutdown().await;
    })
    .await
}

/// An app that reads to the end of its peer before it responds: half a close must cross the tunnel.
async fn counting() -> SocketAddr {
    upstream(|mut stream| async move {
        let mut received = Vec::new();
        let read = stream.read_to_end(&mut received).await;
        let said = format!("{} {}", received.len(), read.is_ok());
        let _ = stream.write_all(said.as_bytes()).await;
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_carries_any_port_of_the_pod_and_both_sides_agree() {
    let (far, near) = both("socks5");
    let apps = [echo().await, counting().await];
    let sent: Vec<u8> = (0..MANY).map(|at| (at % 251) as u8).collect();
    for (address, expected) in [
        (apps[0], sent.clone()),
        (apps[1], format!("{MANY} true").into_bytes()),
    ] {
        let (mut stream, code) = socks(near.address, &by_name("localhost", address.port())).await;
        assert_eq!(code, 0);
        let (mut read, mut write) = stream.split();
        let sending = async {
            write.write_all(&sent).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let mut received = Vec::new();
        let reading = read.read_to_end(&mut received);
        let (read, ()) = within(async { tokio::join!(reading, sending) }).await;
        read.unwrap();
        assert!(received == expected, "{} bytes", received.len());
    }
    let hybrid = [("group", "X25519MLKEM768")];
    for side in [&far, &near] {
        side.metric_is(HANDSHAKES, &hybrid, 2.0).await;
        assert_eq!(side.metric(HANDSHAKES, &[]).await, 2.0);
        side.metric_is("hybridge_connections_total", &[("outcome", "closed")], 2.0)
            .await;
    }
    for (out, back) in [("out", "in"), ("in", "out")] {
        let of_near = near.metric(PAYLOAD, &[("direction", out)]).await;
        let of_far = far.metric(PAYLOAD, &[("direction", back)]).await;
        assert!(of_near > 2e6 && of_near == of_far, "{of_near} {of_far}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_no_tunnel_leads_to_is_refused_in_the_words_of_the_app() {
    let (far, near) = both("socks5");
    let (_held, closed) = nobody();
    for (port, code) in [
        (closed.port(), 5),
        (far.address.port(), 2),
        (far.admin.port(), 2),
        (1023, 2),
    ] {
        let (_, reply) = socks(near.address, &by_name("localhost", port)).await;
        assert_eq!(reply, code, "{port}");
    }
    far.metric_is(UPSTREAM, &[("reason", "target_refused")], 3.0)
        .await;
    far.metric_is(UPSTREAM, &[("reason", "refused")], 1.0).await;
    near.metric_is(UPSTREAM, &[("reason", "tunnel_refused")], 4.0)
        .await;
}

/// A CONNECT to the egress, and the response with its body.
async fn asked(egress: SocketAddr, head: &str) -> String {
    let ended = app(egress, head.as_bytes()).await;
    String::from_utf8(ended.received).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forward_proxy_over_a_tunnel_passes_the_status_on() {
    let (far, near) = both("http-proxy");
    let (_held, closed) = nobody();
    let admin = far.admin.port();
    let (closed, served) = (closed.port(), echo().await.port());
    for (request, status, word) in [
        (format!("CONNECT localhost:{served}"), 200, "ping"),
        (format!("CONNECT localhost:{closed}"), 502, "refused"),
        (format!("CONNECT 127.0.0.1:{admin}"), 403, "sidecar's own"),
        (format!("GET http://localhost:{served}/"), 400, "CONNECT"),
    ] {
        let head = format!("{request} HTTP/1.1\r\nhost: a\r\n\r\nping");
        let response = asked(near.address, &head).await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(response.starts_with(&expected), "{request}: {response}");
        assert!(response.contains(word), "{request}: {response}");
    }
}

/// TLS 1.3 clients are connected before the server has verified them: the app must not be told so.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_nobody_named_gets_no_tunnel() {
    let far = far("", NAMED);
    let near = near(&far, "socks5", "spiffe://elsewhere.example/ns/ml/sa/rank-1");
    let served = echo().await.port();
    let (_, code) = socks(near.address, &by_name("localhost", served)).await;
    assert_eq!(code, 1);
    let label = [("reason", "server_refused_us")];
    near.metric_reaches("hybridge_handshake_failures_total", &label, 1.0)
        .await;
    assert_eq!(near.metric(HANDSHAKES, &[]).await, 0.0);
}

/// Plaintext has no close_notify: both apps must see that a stream was cut, and lose nothing before.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_in_either_app_is_a_reset_in_the_other() {
    let (far, near) = both("socks5");
    let (heard, mut hears) = tokio::sync::mpsc::channel(1);
    let sink = upstream(move |mut stream| {
        let heard = heard.clone();
        async move { heard.send(to_the_end(&mut stream).await).await.unwrap() }
    })
    .await;
    let (mut stream, code) = socks(near.address, &by_name("localhost", sink.port())).await;
    assert_eq!(code, 0);
    stream.write_all(&vec![7; MANY]).await.unwrap();
    // What the far side has is for the app, whatever becomes of the rest.
    let came = [("direction", "in")];
    far.metric_reaches(PAYLOAD, &came, MANY as f64).await;
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(stream);
    let ended = within(hears.recv()).await.unwrap();
    assert_eq!((ended.received.len(), ended.reset), (MANY, true));

    let cutting = upstream(|mut stream| async move {
        stream.write_all(&vec![7; MANY]).await.unwrap();
        while stream.unacknowledged().unwrap_or(0) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    })
    .await;
    let (mut stream, code) = socks(near.address, &by_name("localhost", cutting.port())).await;
    assert_eq!(code, 0);
    let ended = to_the_end(&mut stream).await;
    assert!(ended.reset, "{} bytes", ended.received.len());
    let label = [("outcome", "upstream_broken")];
    far.metric_reaches("hybridge_connections_total", &label, 1.0)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_far_side_that_is_no_tunnel_is_named() {
    let served = answering(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let other = Setup::in_front_of(served).start();
    let near = near(&other, "socks5", RANK);
    let (_, code) = socks(near.address, &by_name("localhost", 29500)).await;
    assert_eq!(code, 5);
    near.metric_is(UPSTREAM, &[("reason", "tunnel_refused")], 1.0)
        .await;
}

/// Another implementation of the near end, or an attacker.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_connect_gets_a_status_and_costs_no_panic() {
    let far = far("unsafe-open-tunnel = true", "");
    let served = echo().await.port();
    for (head, status) in [
        (
            format!("CONNECT localhost:{served} HTTP/1.1\r\nhost: a\r\nuser-agent: b\r\n\r\n"),
            "200",
        ),
        (
            format!("CONNECT localhost:{served} HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n"),
            "400",
        ),
        (
            format!("CONNECT localhost:{served} HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"),
            "400",
        ),
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), "400"),
        (
            "GET http://a/ HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
            "400",
        ),
        ("CONNECT /x HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), "400"),
        ("\x16\x03\x01\x00\x05hello\r\n\r\n".to_owned(), "400"),
        (
            format!(
                "CONNECT a:{served} HTTP/1.1\r\nx: {}\r\n\r\n",
                "y".repeat(80_000)
            ),
            "431",
        ),
        (
            "CONNECT [2001:db8::7]:29500 HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
            "403",
        ),
    ] {
        let mut stream = connect(far.address, client_config(&far.ca, &["http/1.1"]))
            .await
            .unwrap();
        let _ = stream.write_all(head.as_bytes()).await;
        let mut start = [0; 12];
        within(stream.read_exact(&mut start)).await.unwrap();
        let start = String::from_utf8_lossy(&start).into_owned();
        assert_eq!(start, format!("HTTP/1.1 {status}"), "{}", &head[..40]);
    }
    assert_eq!(far.metric("hybridge_panics_total", &[]).await, 0.0);
}

/// A client that has shaken hands and says nothing is idle, and makes room for the next.
#[tokio::test(flavor = "multi_thread")]
async fn silent_clients_do_not_hold_the_tunnels_port() {
    let limits = "unsafe-open-tunnel = true\nlimits.max-connections = 2";
    let far = far(limits, "");
    let shaken = async || {
        let config = client_config(&far.ca, &["http/1.1"]);
        within(connect(far.address, config)).await.unwrap()
    };
    let _silent = (shaken().await, shaken().await);
    // Until the server knows it too, they are handshakes and not idle.
    far.metric_reaches(HANDSHAKES, &[], 2.0).await;
    let served = echo().await.port();
    let mut newcomer = shaken().await;
    let head = format!("CONNECT localhost:{served} HTTP/1.1\r\nhost: a\r\n\r\n");
    newcomer.write_all(head.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    within(newcomer.read_exact(&mut start)).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    far.metric_is("hybridge_shed_total", &[("reason", "idle")], 1.0)
        .await;
}

/// A drain of the far side lets tunnels go on; one that outlasts it is a reset for both apps.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_tunnels_end() {
    let (mut far, near) = both("http-proxy");
    let served = echo().await.port();
    let mut stream = TcpStream::connect(near.address).await.unwrap();
    let head = format!("CONNECT localhost:{served} HTTP/1.1\r\nhost: a\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let response = within(read_head(&mut stream)).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    let running = far.running.take().unwrap();
    let ending = tokio::spawn(running.shutdown());
    eventually("the far port to close", async || {
        TcpStream::connect(far.address).await.is_err()
    })
    .await;
    stream.write_all(b"still here").await.unwrap();
    stream.shutdown().await.unwrap();
    let ended = to_the_end(&mut stream).await;
    assert_eq!(
        (&ended.received[..], ended.reset),
        (&b"still here"[..], false)
    );
    within(ending).await.unwrap();
}

/// A client that has asked for no port holds no drain up.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_client_is_no_work_of_a_drain() {
    let mut far = far("unsafe-open-tunnel = true", "");
    let config = client_config(&far.ca, &["http/1.1"]);
    let mut silent = within(connect(far.address, config)).await.unwrap();
    let end = within(far.running.take().unwrap().shutdown()).await;
    assert!(matches!(end, End::Drained), "{end:?}");
    let _ = within(silent.read_to_end(&mut Vec::new())).await;
}

/// A client that makes room before its tunnel stands is told so inside TLS, like every other client.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_tunnel_is_shed_in_order() {
    for said in ["", "CONNECT localhost:80"] {
        let far = far("unsafe-open-tunnel = true\nlimits.max-connections = 1", "");
        let config = || client_config(&far.ca, &["http/1.1"]);
        let mut first = within(connect(far.address, config())).await.unwrap();
        first.write_all(said.as_bytes()).await.unwrap();
        far.metric_reaches(HANDSHAKES, &[], 1.0).await;
        let mut sent = Vec::new();
        let both = async {
            let newcomer = connect(far.address, config());
            tokio::join!(first.read_to_end(&mut sent), newcomer)
        };
        let (ended, newcomer) = within(both).await;
        // A close_notify: rustls reports anything else as an error.
        ended.unwrap();
        newcomer.unwrap();
    }
}

/// Neither silence nor half a head keeps a place of the tunnel's port for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_for_no_port_in_time_is_closed() {
    let settings = "unsafe-open-tunnel = true\ntimeouts.head-timeout = \"300ms\"";
    let far = far(settings, "");
    for (said, told) in [("", ""), ("CONNECT localhost:80", "HTTP/1.1 408 ")] {
        let config = client_config(&far.ca, &["http/1.1"]);
        let mut client = within(connect(far.address, config)).await.unwrap();
        client.write_all(said.as_bytes()).await.unwrap();
        // A close_notify: rustls reports anything else as an error.
        let mut response = String::new();
        within(client.read_to_string(&mut response)).await.unwrap();
        assert_eq!(response.get(..told.len()), Some(told), "{response}");
        assert_eq!(response.is_empty(), told.is_empty(), "{response}");
    }
    far.metric_is(CLOSED, &[("outcome", "timeout")], 2.0).await;
}

/// Interim responses come before the one that counts (RFC 9110 section 15.2), in any number but one without end.
#[tokio::test(flavor = "multi_thread")]
async fn interim_responses_of_the_far_end_are_passed_over() {
    for (interim, expected) in [(2, 0), (100, 5)] {
        let answering = upstream(move |mut stream| async move {
            let _ = read_head(&mut stream).await;
            let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(interim);
            let said = format!("{hints}HTTP/1.1 200 OK\r\n\r\nhello");
            let _ = stream.write_all(said.as_bytes()).await;
        });
        let far = Setup::in_front_of(answering.await)
            .listener("protocol = \"tcp\"")
            .start();
        let near = near(&far, "socks5", RANK);
        let (mut stream, code) = socks(near.address, &by_name("localhost", 1024)).await;
        assert_eq!(code, expected, "{interim}");
        if code == 0 {
            assert_eq!(to_the_end(&mut stream).await.received, b"hello");
        }
    }
}

/// What a client has begun to ask for is answered although a drain has begun meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_head_has_some_seconds_of_a_drain() {
    let mut far = far("unsafe-open-tunnel = true", "");
    let served = echo().await.port();
    let config = client_config(&far.ca, &["http/1.1"]);
    let mut client = within(connect(far.address, config)).await.unwrap();
    let head = format!("CONNECT localhost:{served} HTTP/1.1\r\nhost: a\r\n\r\n");
    let (begun, rest) = head.split_at(20);
    client.write_all(begun.as_bytes()).await.unwrap();
    let came = [("direction", "in")];
    far.metric_reaches(PAYLOAD, &came, 20.0).await;
    let ending = tokio::spawn(far.running.take().unwrap().shutdown());
    tokio::time::sleep(Duration::from_millis(1700)).await;
    client.write_all(rest.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    within(client.read_exact(&mut start)).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    drop(client);
    assert!(matches!(within(ending).await.unwrap(), End::Drained));
}
