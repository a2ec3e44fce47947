//! Requests that parsers disagree about, are too large, too slow or cut off: refused on the wire.

mod limits;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::http::{
    counted_app, h2_app, h2_exchange, h2_request, h2_response, ok, read_head, read_response,
};
use crate::support::{Setup, upstream, within};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

/// What must be refused, why, and with which status.
const REFUSED: &[(&str, &[u8], u16)] = &[
    ("two different content-lengths", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", 400),
    ("two identical content-lengths", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello", 400),
    ("a list of content-lengths", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5, 5\r\n\r\nhello", 400),
    ("a signed content-length", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +5\r\n\r\nhello", 400),
    ("an empty content-length", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length:\r\n\r\n", 400),
    ("a content-length over 64 bits", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551616\r\n\r\n", 400),
    ("content-length and transfer-encoding", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("transfer-encoding and content-length", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n", 400),
    ("a transfer-encoding that is unknown", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    ("chunked twice", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 501),
    ("chunked in disguise", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    ("transfer-encoding in HTTP/1.0", b"POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 501),
    ("a folded line", b"GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\n 2\r\n\r\n", 400),
    ("a folded line with a tab", b"GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\n\t2\r\n\r\n", 400),
    ("a bare CR in a value", b"GET / HTTP/1.1\r\nhost: a\r\nx: 1\r2\r\n\r\n", 400),
    ("a bare CR in the target", b"GET /\rx HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    ("a bare LF", b"GET / HTTP/1.1\nhost: a\r\n\r\n", 400),
    ("a bare LF at the end of the head", b"GET / HTTP/1.1\r\nhost: a\r\n\n", 400),
    ("NUL in a value", b"GET / HTTP/1.1\r\nhost: a\r\nx: 1\x002\r\n\r\n", 400),
    ("NUL in a name", b"GET / HTTP/1.1\r\nhost: a\r\nx\x00: 1\r\n\r\n", 400),
    ("a space before the colon", b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length : 5\r\n\r\n", 400),
    ("a line without a colon", b"GET / HTTP/1.1\r\nhost: a\r\nnonsense\r\n\r\n", 400),
    ("an empty name", b"GET / HTTP/1.1\r\nhost: a\r\n: 1\r\n\r\n", 400),
    ("no host", b"GET / HTTP/1.1\r\n\r\n", 400),
    ("two hosts", b"GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", 400),
    ("a host with a path", b"GET / HTTP/1.1\r\nhost: a/b\r\n\r\n", 400),
    ("a host with a user", b"GET http://u@a/ HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    ("a target that is no path", b"GET path HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    ("a version to come", b"GET / HTTP/1.2\r\nhost: a\r\n\r\n", 505),
    ("HTTP/2 without ALPN", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("garbage", b"\x16\x03\x01\x02\r\n\r\n", 400),
];

#[tokio::test]
async fn ambiguous_heads_are_refused_and_never_reach_the_app() {
    let (app, connections) = counted_app(|_| async { ok("") }).await;
    let sidecar = Setup::in_front_of(app).start();
    for (what, request, status) in REFUSED {
        let answer = String::from_utf8(sidecar.exchange(request).await).unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{what}: {answer}"
        );
        assert!(answer.contains("connection: close\r\n"), "{what}: {answer}");
        assert!(
            answer.contains("server-timing: hybridge;desc=\"bad_request\""),
            "{what}: {answer}"
        );
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{what}: {answer}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
    let refused = REFUSED.len() as f64;
    sidecar
        .metric_reaches(
            "hybridge_connections_total",
            &[("outcome", "protocol_error")],
            refused,
        )
        .await;
}

/// What an app has received so far, and whether that was the end.
type Told = mpsc::UnboundedReceiver<(String, bool)>;

/// An app that tells what it receives on a connection, and when that ends.
async fn recorder() -> (std::net::SocketAddr, Told) {
    let (tell, told) = mpsc::unbounded_channel();
    let address = upstream(move |mut stream| {
        let tell = tell.clone();
        async move {
            let mut received = Vec::new();
            let mut ended = false;
            while !ended {
                ended = !matches!(stream.read_buf(&mut received).await, Ok(1..));
                let text = String::from_utf8_lossy(&received).into_owned();
                let _ = tell.send((text, ended));
            }
        }
    })
    .await;
    (address, told)
}

/// Waits for news of the app that fit.
async fn told_of<T>(
    told: &mut mpsc::UnboundedReceiver<(T, bool)>,
    fits: impl Fn(&T, bool) -> bool,
) -> T {
    loop {
        let (seen, ended) = within(told.recv()).await.unwrap();
        if fits(&seen, ended) {
            return seen;
        }
    }
}

#[tokio::test]
async fn bad_chunks_are_answered_400_and_broken_off_towards_the_app() {
    let (app, mut told) = recorder().await;
    let sidecar = Setup::in_front_of(app).start();
    let chunked = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    for bad in [
        "zz\r\n",
        "0x5\r\nhello\r\n",
        "-1\r\n",
        "+5\r\nhello\r\n",
        " 5\r\nhello\r\n",
        "\r\n\r\n",
        "fffffffffffffffff\r\n",
        "10000000000000000\r\n",
        "5\nhello\r\n",
        "5\rhello\r\n",
        "5\r\nhelloXX",
        "5\r\nhello\n0\r\n\r\n",
        "5 x\r\nhello\r\n",
        "5;\0\r\nhello\r\n",
        "0\r\nbroken trailer\r\n\r\n",
        "0\r\nx: 1\n\r\n",
    ] {
        let request = format!("{chunked}3\r\nabc\r\n{bad}");
        let answer = String::from_utf8(sidecar.exchange(request.as_bytes()).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{bad:?}: {answer}");
        assert!(
            answer.contains("connection: close\r\n"),
            "{bad:?}: {answer}"
        );
        let seen = told_of(&mut told, |_, ended| ended).await;
        assert!(
            !seen.ends_with("0\r\n\r\n"),
            "{bad:?}: the app saw a whole request: {seen}"
        );
    }
}

#[tokio::test]
async fn a_truncated_body_reaches_the_app_as_a_broken_one() {
    let (app, mut told) = recorder().await;
    let sidecar = Setup::in_front_of(app).start();
    for (framing, body, passed) in [
        ("content-length: 10", "hello", "hello"),
        (
            "transfer-encoding: chunked",
            "5\r\nhello\r\n",
            "5\r\nhello\r\n",
        ),
    ] {
        for polite in [true, false] {
            let mut stream = sidecar.connect(&["http/1.1"]).await;
            let request = format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n{body}");
            stream.write_all(request.as_bytes()).await.unwrap();
            told_of(&mut told, |seen, _| seen.ends_with(passed)).await;
            if polite {
                stream.shutdown().await.unwrap();
            }
            drop(stream);
            let seen = told_of(&mut told, |_, ended| ended).await;
            assert_eq!(seen.split_once("\r\n\r\n").unwrap().1, passed);
        }
    }
}

#[tokio::test]
async fn a_truncated_body_reaches_an_http2_app_as_a_reset() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let app = h2_app(move |request, respond| {
        let tell = tell.clone();
        async move {
            let _held = respond;
            let mut body = request.into_body();
            let mut seen = Vec::new();
            while let Some(piece) = body.data().await {
                match piece {
                    Ok(piece) => {
                        seen.extend_from_slice(&piece);
                        tell.send((seen.clone(), false)).unwrap();
                    }
                    Err(error) => return tell.send((seen, error.is_reset())).unwrap(),
                }
            }
        }
    })
    .await;
    let sidecar = Setup::in_front_of(app)
        .listener("upstream-http = \"http2\"")
        .start();
    for framing in [
        "content-length: 10\r\n\r\nhello",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let mut stream = sidecar.connect(&["http/1.1"]).await;
        let request = format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}");
        stream.write_all(request.as_bytes()).await.unwrap();
        told_of(&mut told, |seen, _| seen == b"hello").await;
        stream.shutdown().await.unwrap();
        assert_eq!(told_of(&mut told, |_, reset| reset).await, b"hello");
    }
}

#[tokio::test]
async fn http2_requests_that_no_http1_server_could_read_are_refused() {
    let (app, connections) = counted_app(|_| async { ok("") }).await;
    let sidecar = Setup::in_front_of(app).start();
    let client = sidecar.http2().await;
    let request = |host: &'static str| h2_request("GET", "/").header("host", host);
    for (what, request, status) in [
        ("two hosts", request("a").header("host", "a"), 400),
        (
            "CONNECT",
            http::Request::builder().method("CONNECT").uri("a:443"),
            501,
        ),
    ] {
        let request = request.body(()).unwrap();
        let (head, ..) = within(h2_exchange(&client, request, Bytes::new()))
            .await
            .unwrap();
        assert_eq!(head.status(), status, "{what}");
    }
    // h2 itself resets a stream that breaks the rules of RFC 9113 §8.2.2 or lies about its length.
    for request in [
        h2_request("GET", "/").header("content-length", "5"),
        h2_request("POST", "/").header("content-length", "x"),
    ] {
        let request = request.body(()).unwrap();
        let refused = within(h2_exchange(&client, request, Bytes::new())).await;
        let refused = refused.map_or(true, |(head, ..)| head.status() == 400);
        assert!(refused);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_head_that_drips_is_answered_408() {
    let (app, connections) = counted_app(|_| async { ok("") }).await;
    let sidecar = Setup::in_front_of(app)
        .timeouts("head-timeout = \"300ms\"")
        .start();
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    let mut answer = Vec::new();
    let dripping = async {
        let (mut reader, mut writer) = tokio::io::split(&mut stream);
        let drip = async {
            for byte in b"GET / HTTP/1.1\r\nhost: "
                .iter()
                .chain(std::iter::repeat(&b'a'))
            {
                if writer.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = drip => {}
            _ = reader.read_to_end(&mut answer) => {}
        }
    };
    within(dripping).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_websocket_handshake_with_a_body_is_an_ordinary_request() {
    // Its body could otherwise be read as the next request, on either side.
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let app = upstream(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            while let Ok(Some(head)) = read_head(&mut stream).await {
                count.fetch_add(1, Ordering::SeqCst);
                assert!(!head.contains("upgrade"), "{head}");
                let mut body = [0; 18];
                stream.read_exact(&mut body).await.unwrap();
                assert_eq!(&body, b"GET /x HTTP/1.1\r\n\r");
                stream.write_all(&ok("")).await.unwrap();
            }
        }
    })
    .await;
    let sidecar = Setup::in_front_of(app).start();
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 18\r\n\r\nGET /x HTTP/1.1\r\n\r";
    for _ in 0..2 {
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(
            within(read_response(&mut stream, false))
                .await
                .unwrap()
                .status(),
            200
        );
    }
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_http2_answer_never_ends_cleanly_when_the_app_lied_about_its_length() {
    let app = h2_app(|_, mut respond| async move {
        let mut response = h2_response(200);
        response.headers_mut().insert("content-length", 10.into());
        let mut stream = respond.send_response(response, false).unwrap();
        stream
            .send_data(Bytes::from_static(b"short"), true)
            .unwrap();
    })
    .await;
    let sidecar = Setup::in_front_of(app)
        .listener("upstream-http = \"http2\"")
        .start();
    let client = sidecar.http2().await;
    let request = h2_request("GET", "/").body(()).unwrap();
    assert!(
        within(h2_exchange(&client, request, Bytes::new()))
            .await
            .is_err()
    );
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    assert!(within(read_response(&mut stream, false)).await.is_err());
}
