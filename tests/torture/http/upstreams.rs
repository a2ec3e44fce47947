//! Inference servers that break rules, or say that they did not look: what becomes of the next
//! request, and of this one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use super::frames::{self, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, SETTINGS, frame};
use crate::support::http::{
    echo_app, h2_app, h2_request, h2_response, read_h2, read_response, send_h2,
};
use crate::support::{Setup, eventually, read_head, upstream, within};

/// Content that must not come, announced and sent late, is never the next response.
#[tokio::test]
async fn a_response_without_content_that_announced_some_spoils_no_other() {
    let app = upstream(|mut stream| async move {
        while let Some(head) = read_head(&mut stream).await {
            let (first, late): (&[u8], &[u8]) = match head.split(' ').nth(1).unwrap() {
                "/204" => (
                    b"HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n",
                    b"0\r\n\r\n",
                ),
                "/304" => (
                    b"HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n",
                    b"0\r\n\r\n",
                ),
                "/length" => (
                    b"HTTP/1.1 204 No Content\r\ncontent-length: 3\r\n\r\n",
                    b"bad",
                ),
                "/head" => (
                    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
                    b"0\r\n\r\n",
                ),
                _ => (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", b""),
            };
            if stream.write_all(first).await.is_err() {
                return;
            }
            if !late.is_empty() {
                sleep(Duration::from_millis(50)).await;
                let _ = stream.write_all(late).await;
            }
        }
    })
    .await;
    let sidecar = Setup::in_front_of(app).process("workers = 1").start();
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    for (request, status) in [
        ("GET /204", 204),
        ("GET /304", 304),
        ("GET /length", 204),
        ("HEAD /head", 200),
    ] {
        let request = format!("{request} HTTP/1.1\r\nhost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let first = within(read_response(&mut stream, true)).await.unwrap();
        assert_eq!(first.status(), status, "{request}");
        for _ in 0..2 {
            stream
                .write_all(b"GET /next HTTP/1.1\r\nhost: a\r\n\r\n")
                .await
                .unwrap();
            let next = within(read_response(&mut stream, false)).await.unwrap();
            assert_eq!(
                (next.status(), &next.body[..]),
                (200, &b"ok"[..]),
                "after {request}"
            );
            sleep(Duration::from_millis(80)).await;
        }
    }
}

/// RFC 9110 §7.8: only what was asked for is switched to.
#[tokio::test]
async fn a_switch_is_accepted_only_with_its_fields() {
    let good = "upgrade: websocket\r\nconnection: Upgrade\r\n";
    for (fields, status) in [
        (good, 101),
        ("", 502),
        ("upgrade: websocket\r\n", 502),
        ("connection: upgrade\r\n", 502),
        ("upgrade: h2c\r\nconnection: upgrade\r\n", 502),
    ] {
        let app = upstream(move |mut stream| async move {
            read_head(&mut stream).await;
            let head = format!(
                "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: x\r\n{fields}\r\n"
            );
            let _ = stream.write_all(head.as_bytes()).await;
            // What follows would be the next request if the switch were accepted wrongly.
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            assert!(fields == "upgrade: websocket\r\nconnection: Upgrade\r\n" || rest.is_empty());
        })
        .await;
        let sidecar = Setup::in_front_of(app).start();
        let mut stream = sidecar.connect(&["http/1.1"]).await;
        let request = "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\nbehind it";
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = within(read_response(&mut stream, false)).await.unwrap();
        assert_eq!(head.status(), status, "{fields}");
    }
}

/// An HTTP/2 server of frames: it serves the first stream of each connection, and `refuse` gives the
/// frames with which it says that it did not look at another.
async fn once_only(refuse: fn(u32) -> Vec<u8>) -> (SocketAddr, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    let address = upstream(move |mut stream| {
        counter.fetch_add(1, Ordering::SeqCst);
        async move {
            let mut preface = [0; 24];
            stream.read_exact(&mut preface).await.unwrap();
            stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
            while let Ok(Some(next)) = frames::next(&mut stream).await {
                let reply = match (next.kind, next.stream) {
                    (HEADERS, 1) => frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0x88]),
                    (HEADERS, other) => refuse(other),
                    _ => continue,
                };
                let _ = stream.write_all(&reply).await;
                if next.stream > 1 {
                    return;
                }
            }
        }
    })
    .await;
    (address, connections)
}

/// RFC 9113 §8.7: whatever the method, such a request may be sent again.
#[tokio::test]
async fn a_request_that_was_not_looked_at_is_sent_again() {
    const GOAWAY: u8 = 7;
    let go_away = |_: u32| frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]);
    let refused = |stream: u32| frame(RST_STREAM, 0, stream, &[0, 0, 0, 7]);
    for refuse in [go_away, refused] {
        let (app, connections) = once_only(refuse).await;
        let sidecar = Setup::in_front_of(app)
            .process("workers = 1")
            .listener("upstream-http = \"http2\"")
            .start();
        let mut stream = sidecar.connect(&["http/1.1"]).await;
        for method in ["POST", "GET", "POST", "PATCH"] {
            let request = format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let head = within(read_response(&mut stream, false)).await.unwrap();
            assert_eq!(head.status(), 200, "{method}");
        }
        assert_eq!(connections.load(Ordering::SeqCst), 4);
        // Not with a body that is partly gone.
        let request = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";
        stream.write_all(request).await.unwrap();
        let head = within(read_response(&mut stream, false)).await.unwrap();
        assert_eq!(head.status(), 502);
        assert!(head.head.contains("unprocessed"), "{}", head.head);
    }
}

#[tokio::test]
async fn an_idle_http2_connection_is_closed() {
    let open = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&open);
    let app = upstream(move |stream| {
        let counter = Arc::clone(&counter);
        async move {
            counter.fetch_add(1, Ordering::SeqCst);
            let serve = |_, mut respond: h2::server::SendResponse<Bytes>| async move {
                let _ = respond.send_response(h2_response(200), true);
            };
            crate::support::http::serve_h2(stream, Arc::new(serve)).await;
            counter.fetch_sub(1, Ordering::SeqCst);
        }
    })
    .await;
    let sidecar = Setup::in_front_of(app)
        .listener("upstream-http = \"http2\"")
        .timeouts("upstream-idle-timeout = \"1s\"")
        .start();
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    for _ in 0..2 {
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        within(read_response(&mut stream, false)).await.unwrap();
        assert_eq!(open.load(Ordering::SeqCst), 1);
        eventually("the idle connection to be closed", async || {
            open.load(Ordering::SeqCst) == 0
        })
        .await;
    }
}

/// What must not come as a trailer, and what may.
const TRAILERS: [(&str, bool); 24] = [
    ("x-sum", true),
    ("content-digest", true),
    ("grpc-status", true),
    ("content-length", false),
    ("content-type", false),
    ("content-encoding", false),
    ("content-range", false),
    ("host", false),
    ("te", false),
    ("trailer", false),
    ("transfer-encoding", false),
    ("connection", false),
    ("authorization", false),
    ("proxy-authorization", false),
    ("cookie", false),
    ("set-cookie", false),
    ("cache-control", false),
    ("expect", false),
    ("max-forwards", false),
    ("range", false),
    ("if-match", false),
    ("x-forwarded-for", false),
    ("x-tls-key-exchange", false),
    ("forwarded", false),
];

fn lines(over_http2: bool) -> String {
    // HTTP/2 knows no connection-specific field.
    let fine =
        |name: &str| !(over_http2 && matches!(name, "connection" | "transfer-encoding" | "te"));
    let names = TRAILERS.iter().filter(|(name, _)| fine(name));
    names.map(|(name, _)| format!("{name}: 1\r\n")).collect()
}

fn map() -> HeaderMap {
    let mut map = HeaderMap::new();
    for line in lines(true).lines() {
        let (name, _) = line.split_once(':').unwrap();
        map.insert(
            http::HeaderName::try_from(name).unwrap(),
            http::HeaderValue::from_static("1"),
        );
    }
    map
}

#[track_caller]
fn assert_trailers(what: &str, seen: &str) {
    for (name, crosses) in TRAILERS {
        let there = seen
            .lines()
            .any(|line| line.starts_with(&format!("{name}: ")));
        assert_eq!(there, crosses, "{what}: {name} in {seen}");
    }
}

#[tokio::test]
async fn no_field_crosses_as_a_trailer_that_must_not_in_any_direction_or_version() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let h2 = h2_app(move |request, mut respond| {
        let tell = tell.clone();
        async move {
            let (_, trailers) = read_h2(&mut request.into_body()).await.unwrap();
            tell.send(text(&trailers.unwrap_or_default())).unwrap();
            let mut stream = respond.send_response(h2_response(200), false).unwrap();
            let _ = stream.send_data(Bytes::from_static(b"ok"), false);
            let _ = stream.send_trailers(map());
        }
    })
    .await;
    let h1_down = upstream(|mut stream| async move {
        while read_head(&mut stream).await.is_some() {
            let response = format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n{}\r\n",
                lines(false)
            );
            let _ = stream.write_all(response.as_bytes()).await;
        }
    })
    .await;
    let over_http1 = format!(
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n{}\r\n",
        lines(false)
    );
    let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned();
    for (app, version, upward) in [
        (echo_app().await, "http1", true),
        (h1_down, "http1", false),
        (h2, "http2", true),
    ] {
        let sidecar = Setup::in_front_of(app)
            .listener(&format!("upstream-http = \"{version}\""))
            .start();
        let mut stream = sidecar.connect(&["http/1.1"]).await;
        let request = if upward { &over_http1 } else { &get };
        stream.write_all(request.as_bytes()).await.unwrap();
        let response = within(read_response(&mut stream, false)).await.unwrap();
        let client = sidecar.http2().await;
        let mut client = client.ready().await.unwrap();
        let request = h2_request("POST", "/").body(()).unwrap();
        let (head, mut body) = client.send_request(request, false).unwrap();
        send_h2(&mut body, Bytes::from_static(b"ok"), false)
            .await
            .unwrap();
        body.send_trailers(map()).unwrap();
        let mut down = within(head).await.unwrap().into_body();
        let (content, trailers) = within(read_h2(&mut down)).await.unwrap();
        let trailers = text(&trailers.unwrap_or_default());
        match (version, upward) {
            ("http1", true) => {
                for (what, seen) in [("h1 to h1", response.body), ("h2 to h1", content)] {
                    let seen = String::from_utf8(seen).unwrap();
                    // Behind the head, which has some of these fields by right.
                    assert_trailers(what, seen.split_once("\n\n").unwrap().1);
                }
            }
            ("http1", false) => {
                assert_trailers("h1 from h1", &response.trailers);
                assert_trailers("h2 from h1", &trailers);
            }
            _ => {
                for what in ["h1 to h2", "h2 to h2"] {
                    let seen = timeout(Duration::from_secs(10), told.recv()).await.unwrap();
                    assert_trailers(what, &seen.unwrap());
                }
                assert_trailers("h1 from h2", &response.trailers);
                assert_trailers("h2 from h2", &trailers);
            }
        }
    }
}

fn text(fields: &HeaderMap) -> String {
    fields.keys().map(|name| format!("{name}: 1\n")).collect()
}
