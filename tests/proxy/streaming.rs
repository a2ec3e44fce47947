//! Token streams: each piece reaches the client before the next is written, silence ends nothing
//! unless asked for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::support::http::{h2_app, h2_request, h2_response, read_chunk, read_head};
use crate::support::{Setup, Sidecar, upstream, within};
use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

const TOKENS: usize = 50;

/// What is on the wire for a token of a stream of each kind.
fn token(kind: &str, number: usize) -> String {
    match kind {
        "text/event-stream" => format!("data: {{\"token\":{number}}}\n\n"),
        _ => format!("{{\"token\":{number}}}\n"),
    }
}

/// Writes a token only after the client has seen the one before.
async fn lock_step_app(kind: &'static str, seen: Arc<Semaphore>) -> SocketAddr {
    upstream(move |mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            read_head(&mut stream).await.unwrap().unwrap();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            for number in 0..TOKENS {
                seen.acquire().await.unwrap().forget();
                let text = token(kind, number);
                let chunk = format!("{:x}\r\n{text}\r\n", text.len());
                stream.write_all(chunk.as_bytes()).await.unwrap();
            }
            stream.write_all(b"0\r\n\r\n").await.unwrap();
            let _ = read_head(&mut stream).await;
        }
    })
    .await
}

async fn h2_lock_step_app(kind: &'static str, seen: Arc<Semaphore>) -> SocketAddr {
    h2_app(move |_, mut respond| {
        let seen = Arc::clone(&seen);
        async move {
            let mut stream = respond.send_response(h2_response(200), false).unwrap();
            for number in 0..TOKENS {
                seen.acquire().await.unwrap().forget();
                stream
                    .send_data(token(kind, number).into(), number + 1 == TOKENS)
                    .unwrap();
            }
        }
    })
    .await
}

async fn follow_over_http1(sidecar: &Sidecar, kind: &str, seen: &Semaphore) {
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    stream
        .write_all(b"GET /stream HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    within(read_head(&mut stream)).await.unwrap().unwrap();
    for number in 0..TOKENS {
        seen.add_permits(1);
        let chunk = within(read_chunk(&mut stream)).await.unwrap().unwrap();
        assert_eq!(chunk, token(kind, number).into_bytes());
    }
    assert_eq!(within(read_chunk(&mut stream)).await.unwrap(), None);
}

async fn follow_over_http2(sidecar: &Sidecar, kind: &str, seen: &Semaphore) {
    let mut client = sidecar.http2().await;
    let request = h2_request("GET", "/stream").body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    let mut body = within(response).await.unwrap().into_body();
    for number in 0..TOKENS {
        seen.add_permits(1);
        let piece = within(body.data()).await.unwrap().unwrap();
        assert_eq!(piece, token(kind, number).into_bytes());
    }
    assert!(
        within(body.data())
            .await
            .is_none_or(|end| end.unwrap().is_empty())
    );
}

#[tokio::test]
async fn every_token_is_seen_before_the_next_is_written() {
    for kind in ["text/event-stream", "application/x-ndjson"] {
        let seen = Arc::new(Semaphore::new(0));
        let h1 = lock_step_app(kind, Arc::clone(&seen)).await;
        let h2 = h2_lock_step_app(kind, Arc::clone(&seen)).await;
        for (version, app) in [("http1", h1), ("http2", h2)] {
            let sidecar = Setup::in_front_of(app)
                .listener(&format!("upstream-http = \"{version}\""))
                .start();
            follow_over_http1(&sidecar, kind, &seen).await;
            follow_over_http2(&sidecar, kind, &seen).await;
        }
    }
}

#[tokio::test]
async fn every_piece_of_a_request_is_seen_before_the_next_is_written() {
    let seen = Arc::new(Semaphore::new(0));
    let tell = Arc::clone(&seen);
    let app = upstream(move |mut stream| {
        let tell = Arc::clone(&tell);
        async move {
            read_head(&mut stream).await.unwrap().unwrap();
            while read_chunk(&mut stream).await.unwrap().is_some() {
                tell.add_permits(1);
            }
            stream.write_all(b"\r\n").await.unwrap();
        }
    })
    .await;
    let sidecar = Setup::in_front_of(app).start();
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    let head = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut client = sidecar.http2().await;
    let request = h2_request("POST", "/").body(()).unwrap();
    let (_response, mut upload) = client.send_request(request, false).unwrap();
    for _ in 0..TOKENS {
        stream.write_all(b"5\r\nhello\r\n").await.unwrap();
        within(seen.acquire()).await.unwrap().forget();
        upload
            .send_data(Bytes::from_static(b"hello"), false)
            .unwrap();
        within(seen.acquire()).await.unwrap().forget();
    }
}

/// Says a token, is silent, says another.
async fn silent_app(silence: Duration) -> SocketAddr {
    upstream(move |mut stream| async move {
        read_head(&mut stream).await.unwrap().unwrap();
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n";
        stream.write_all(head).await.unwrap();
        tokio::time::sleep(silence).await;
        let _ = stream.write_all(b"2\r\nyo\r\n0\r\n\r\n").await;
    })
    .await
}

async fn begin(sidecar: &Sidecar) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    within(read_head(&mut stream)).await.unwrap().unwrap();
    let first = within(read_chunk(&mut stream)).await.unwrap();
    assert_eq!(first.as_deref(), Some(&b"hi"[..]));
    stream
}

#[tokio::test]
async fn a_silent_stream_outlives_every_default_and_configured_timeout_but_idle() {
    let app = silent_app(Duration::from_secs(6)).await;
    // Each is far shorter than the silence: none of them is about a stream under way.
    let sidecar = Setup::in_front_of(app)
        .timeouts("head-timeout = \"500ms\"\nconnect-timeout = \"500ms\"\nkeep-alive-timeout = \"500ms\"\nupstream-idle-timeout = \"500ms\"")
        .tls("handshake-timeout = \"500ms\"")
        .start();
    let mut stream = begin(&sidecar).await;
    let mut client = sidecar.http2().await;
    let request = h2_request("GET", "/").body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    let mut body = within(response).await.unwrap().into_body();
    assert_eq!(within(body.data()).await.unwrap().unwrap(), "hi");
    let next = within(read_chunk(&mut stream)).await.unwrap();
    assert_eq!(next.as_deref(), Some(&b"yo"[..]));
    assert_eq!(within(body.data()).await.unwrap().unwrap(), "yo");
}

#[tokio::test]
async fn the_idle_timeout_cuts_a_silence_when_asked_for() {
    let app = silent_app(Duration::from_mins(1)).await;
    let sidecar = Setup::in_front_of(app)
        .timeouts("idle-timeout = \"300ms\"")
        .start();
    let mut stream = begin(&sidecar).await;
    // Broken, not ended: there is no last chunk.
    assert!(within(read_chunk(&mut stream)).await.is_err());
    sidecar
        .metric_reaches(
            "hybridge_connections_total",
            &[("outcome", "idle_timeout")],
            1.0,
        )
        .await;
}

#[tokio::test]
async fn bytes_in_either_direction_keep_the_idle_timeout_away() {
    // The app says nothing until it has the whole request, for longer than the timeout.
    let app = upstream(|mut stream| async move {
        read_head(&mut stream).await.unwrap().unwrap();
        while read_chunk(&mut stream).await.unwrap().is_some() {}
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head).await.unwrap();
        // Now the client says nothing.
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            stream.write_all(b"2\r\nhi\r\n").await.unwrap();
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    })
    .await;
    let sidecar = Setup::in_front_of(app)
        .timeouts("idle-timeout = \"1s\"")
        .start();
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    let head = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head).await.unwrap();
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        stream.write_all(b"2\r\nhi\r\n").await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let head = within(read_head(&mut stream)).await.unwrap().unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let mut chunks = 0;
    while within(read_chunk(&mut stream)).await.unwrap().is_some() {
        chunks += 1;
    }
    assert!(chunks > 0);
}
