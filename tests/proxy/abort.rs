//! Who goes away in the middle is missed by the other side: at once, and never as a clean end.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::support::http::{gone, h2_app, h2_request, h2_response, read_head, switched};
use crate::support::{Setup, upstream, within};
use bytes::Bytes;
use h2::ext::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::client::TlsStream;

/// The product's figure is 100 ms (measured by a benchmark); a busy machine may take longer.
const SOON: Duration = Duration::from_secs(2);

/// What an app has to tell: the exchange has begun, and that its connection ended.
#[derive(Debug, PartialEq)]
enum News {
    Begun,
    Gone(Instant),
}

type Told = mpsc::UnboundedReceiver<News>;

/// An app that reads a head, says `first`, and waits for its connection to end.
async fn waiting_app(first: &'static [u8], head: bool) -> (SocketAddr, Told) {
    let (tell, told) = mpsc::unbounded_channel();
    let address = upstream(move |mut stream| {
        let tell = tell.clone();
        async move {
            let switch = if head {
                let Ok(Some(head)) = read_head(&mut stream).await else {
                    return;
                };
                let asked = head.contains("sec-websocket-key");
                asked.then(|| [&switched(&head), &b"hi"[..]].concat())
            } else {
                None
            };
            let first = switch.as_deref().unwrap_or(first);
            stream.write_all(first).await.unwrap();
            tell.send(News::Begun).unwrap();
            gone(&mut stream).await;
            tell.send(News::Gone(Instant::now())).unwrap();
        }
    })
    .await;
    (address, told)
}

async fn begun(told: &mut Told) {
    assert_eq!(within(told.recv()).await, Some(News::Begun));
}

/// The app has noticed, soon after `left`.
async fn noticed(what: &str, told: &mut Told, left: Instant) {
    let News::Gone(at) = within(told.recv()).await.unwrap() else {
        panic!("{what}: begun twice");
    };
    let after = at.checked_duration_since(left);
    let after = after.unwrap_or_else(|| panic!("{what}: ended before"));
    println!("{what}: noticed after {after:?}");
    assert!(after < SOON, "{what}: noticed after {after:?}");
}

/// Ways to go away.
#[derive(Clone, Copy, Debug)]
enum Leave {
    /// close_notify, then FIN.
    Politely,
    /// FIN only.
    Quietly,
    /// RST.
    Rudely,
}

const WAYS: [Leave; 3] = [Leave::Politely, Leave::Quietly, Leave::Rudely];

async fn leave(mut stream: TlsStream<TcpStream>, how: Leave) -> Instant {
    let at = Instant::now();
    match how {
        Leave::Politely => stream.shutdown().await.unwrap(),
        Leave::Quietly => {}
        Leave::Rudely => socket2::SockRef::from(stream.get_ref().0)
            .set_linger(Some(Duration::ZERO))
            .unwrap(),
    }
    at
}

const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n";
const SWITCH: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhi";
const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const UPGRADE: &[u8] =
    b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
const PART: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\npart";

#[tokio::test]
async fn an_http1_or_tcp_client_that_goes_away_is_missed_by_the_app() {
    for (what, request, first, http) in [
        ("h1 waiting for the head", GET, &b""[..], true),
        ("h1 in the middle of the answer", GET, STREAM, true),
        ("h1 in the middle of the request", PART, b"", true),
        ("h1 in the middle of both", PART, STREAM, true),
        (
            "h1 with a next request sent",
            &[GET, GET].concat()[..],
            STREAM,
            true,
        ),
        ("websocket", UPGRADE, SWITCH, true),
        ("tcp", b"x", b"hi", false),
    ] {
        for how in WAYS {
            let (app, mut told) = waiting_app(first, http).await;
            let protocol = if http { "http" } else { "tcp" };
            let sidecar = Setup::in_front_of(app)
                .listener(&format!("protocol = \"{protocol}\""))
                .start();
            let mut stream = sidecar.connect(&[]).await;
            stream.write_all(request).await.unwrap();
            begun(&mut told).await;
            if !first.is_empty() {
                within(stream.read_u8()).await.unwrap();
            }
            let left = leave(stream, how).await;
            noticed(&format!("{what}, {how:?}"), &mut told, left).await;
        }
    }
}

/// Begins a stream of each kind; what it returns keeps it alive.
async fn begin(
    client: &mut h2::client::SendRequest<Bytes>,
    kind: &str,
) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
    let mut request = match kind {
        "websocket" => h2_request("CONNECT", "/"),
        "grpc" => h2_request("POST", "/a/B").header("content-type", "application/grpc"),
        _ => h2_request("GET", "/"),
    }
    .body(())
    .unwrap();
    if kind == "websocket" {
        let probe = client.clone();
        crate::support::eventually("the settings", async || {
            probe.is_extended_connect_protocol_enabled()
        })
        .await;
        request
            .extensions_mut()
            .insert(Protocol::from_static("websocket"));
    }
    client.send_request(request, kind == "plain").unwrap()
}

#[tokio::test]
async fn an_http2_stream_that_is_reset_is_missed_by_the_app() {
    for (what, kind, first) in [
        ("h2 waiting for the head", "plain", &b""[..]),
        ("h2 in the middle of the answer", "plain", STREAM),
        ("h2 in the middle of both", "upload", STREAM),
        ("h2 websocket", "websocket", SWITCH),
    ] {
        for connection_lost in [false, true] {
            let (app, mut told) = waiting_app(first, true).await;
            let sidecar = Setup::in_front_of(app).start();
            let stream = sidecar.connect(&["h2"]).await;
            let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
            let connection = tokio::spawn(connection);
            let (response, mut upload) = begin(&mut client, kind).await;
            begun(&mut told).await;
            let mut answer = None;
            if first.is_empty() {
                drop(tokio::spawn(response));
            } else {
                let response = within(response).await.unwrap();
                assert_eq!(response.status(), 200, "{what}");
                answer = Some(response);
            }
            let left = Instant::now();
            if connection_lost {
                connection.abort();
            } else {
                upload.send_reset(h2::Reason::CANCEL);
            }
            noticed(
                &format!("{what}, connection lost: {connection_lost}"),
                &mut told,
                left,
            )
            .await;
            drop(answer);
            // Whatever its head said, the response is not complete.
            let protocol = if kind == "websocket" { kind } else { "http2" };
            let broken = [("protocol", protocol), ("code", "broken")];
            sidecar
                .metric_reaches("hybridge_requests_total", &broken, 1.0)
                .await;
        }
    }
}

/// A gRPC app that tells when its stream is reset or its connection lost.
async fn grpc_app(answers: bool) -> (SocketAddr, Told) {
    let (tell, told) = mpsc::unbounded_channel();
    let address = h2_app(move |request, mut respond| {
        let tell = tell.clone();
        async move {
            let mut stream = None;
            if answers {
                let mut answer = respond.send_response(h2_response(200), false).unwrap();
                answer.send_data(Bytes::from_static(b"hi"), false).unwrap();
                stream = Some(answer);
            }
            tell.send(News::Begun).unwrap();
            let _request = request;
            let _ = std::future::poll_fn(|cx| match &mut stream {
                Some(stream) => stream.poll_reset(cx),
                None => respond.poll_reset(cx),
            })
            .await;
            tell.send(News::Gone(Instant::now())).unwrap();
        }
    })
    .await;
    (address, told)
}

#[tokio::test]
async fn a_grpc_call_that_is_cancelled_is_missed_by_the_app() {
    for answers in [false, true] {
        for connection_lost in [false, true] {
            let (app, mut told) = grpc_app(answers).await;
            let sidecar = Setup::in_front_of(app).start();
            let stream = sidecar.connect(&["h2"]).await;
            let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
            let connection = tokio::spawn(connection);
            let (response, mut upload) = begin(&mut client, "grpc").await;
            begun(&mut told).await;
            let left = Instant::now();
            if connection_lost {
                connection.abort();
            } else {
                upload.send_reset(h2::Reason::CANCEL);
            }
            let what = format!("grpc, answered: {answers}, connection lost: {connection_lost}");
            noticed(&what, &mut told, left).await;
            drop(response);
            let broken = [("protocol", "grpc"), ("code", "BROKEN")];
            sidecar
                .metric_reaches("hybridge_requests_total", &broken, 1.0)
                .await;
        }
    }
}

#[tokio::test]
async fn a_stream_reset_while_the_app_reads_nothing_is_ended() {
    let (app, mut told) = {
        let (tell, told) = mpsc::unbounded_channel();
        let address = upstream(move |mut stream| {
            let tell = tell.clone();
            async move {
                read_head(&mut stream).await.unwrap();
                tell.send(News::Begun).unwrap();
                std::future::pending::<()>().await;
            }
        })
        .await;
        (address, told)
    };
    let sidecar = Setup::in_front_of(app).start();
    let mut client = sidecar.http2().await;
    let request = h2_request("POST", "/").body(()).unwrap();
    let (_response, mut upload) = client.send_request(request, false).unwrap();
    begun(&mut told).await;
    // Until every buffer on the way is full.
    loop {
        upload.reserve_capacity(1 << 20);
        let room = std::future::poll_fn(|cx| upload.poll_capacity(cx));
        match tokio::time::timeout(Duration::from_millis(300), room).await {
            Ok(room) => upload
                .send_data(vec![0; room.unwrap().unwrap()].into(), false)
                .unwrap(),
            Err(_) => break,
        }
    }
    upload.send_reset(h2::Reason::CANCEL);
    let open = async || sidecar.metric("hybridge_requests_open", &[]).await < 0.5;
    crate::support::eventually("the request to end", open).await;
}
