//! HTTP/2 connections to the app, which the streams of all clients share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::http::{Message, h2_app, h2_exchange, h2_request, h2_response, read_response};
use crate::support::{Setup, Sidecar, within};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, Notify};

const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";

/// One request on a connection of its own.
async fn ask(sidecar: &Sidecar, request: &str) -> Message {
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    within(read_response(&mut stream, false)).await.unwrap()
}

#[tokio::test]
async fn an_http2_connection_the_app_closed_harms_no_request() {
    let closed = Arc::new(Notify::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tell = Arc::clone(&closed);
    let answered = Arc::new(Notify::new());
    let end = Arc::clone(&answered);
    tokio::spawn(async move {
        for round in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            let (_, mut respond) = connection.accept().await.unwrap().unwrap();
            respond.send_response(h2_response(200), true).unwrap();
            if round % 2 == 0 {
                connection.graceful_shutdown();
                while connection.accept().await.is_some() {}
                end.notified().await;
            } else {
                tokio::select! {
                    _ = connection.accept() => {}
                    () = end.notified() => {}
                }
            }
            drop(connection);
            tell.notify_one();
        }
    });
    let sidecar = Setup::in_front_of(address)
        .listener("upstream-http = \"http2\"")
        .start();
    for round in 0..8 {
        assert_eq!(ask(&sidecar, POST).await.status(), 200, "round {round}");
        answered.notify_one();
        within(closed.notified()).await;
    }
}

#[tokio::test]
async fn http2_streams_share_a_connection_up_to_what_the_app_allows() {
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let barrier = Arc::new(Barrier::new(6));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let barrier = Arc::clone(&barrier);
            tokio::spawn(async move {
                let mut builder = h2::server::Builder::new();
                let handshake = builder
                    .max_concurrent_streams(2)
                    .handshake::<_, Bytes>(stream);
                let mut connection = handshake.await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let barrier = Arc::clone(&barrier);
                    tokio::spawn(async move {
                        barrier.wait().await;
                        respond.send_response(h2_response(204), true).unwrap();
                    });
                }
            });
        }
    });
    let sidecar = Setup::in_front_of(address)
        .listener("upstream-http = \"http2\"")
        .start();
    let client = sidecar.http2().await;
    let mut streams = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let client = client.clone();
        let request = h2_request("GET", "/").body(()).unwrap();
        streams.spawn(async move { h2_exchange(&client, request, Bytes::new()).await });
    }
    while let Some(answer) = within(streams.join_next()).await {
        assert_eq!(answer.unwrap().unwrap().0.status(), 204);
    }
    println!(
        "six streams, two at a time: {} connections",
        accepted.load(Ordering::SeqCst)
    );
}

/// Frames of a server that is told nothing by a library: kind, flags, stream, payload.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Settings, then `response` to the first request; `ends`: that is all.
async fn serve_first(mut stream: TcpStream, response: Vec<u8>, ends: bool) -> std::io::Result<()> {
    stream.write_all(&frame(4, 0, 0, &[])).await?;
    stream.read_exact(&mut [0; 24]).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await?;
        if head[3] == 1 {
            stream.write_all(&response).await?;
            if ends {
                stream.shutdown().await?;
            }
        }
    }
}

/// An app that starts or ends, or has no thread free, refuses the first request of a connection as well as any.
#[tokio::test]
async fn what_a_new_connection_did_not_process_is_sent_again() {
    let goaway = frame(7, 0, 0, &[0; 8]);
    let refused = frame(3, 0, 1, &7_u32.to_be_bytes());
    for refusal in [goaway, refused] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (first, _) = listener.accept().await.unwrap();
            tokio::spawn(serve_first(first, refusal, false));
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let mut connection = h2::server::handshake(stream).await.unwrap();
                tokio::spawn(async move {
                    while let Some(Ok((_, mut respond))) = connection.accept().await {
                        respond.send_response(h2_response(200), true).unwrap();
                    }
                });
            }
        });
        let sidecar = Setup::in_front_of(address)
            .listener("upstream-http = \"http2\"")
            .start();
        let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(ask(&sidecar, post).await.status(), 200);
    }
}

/// The end of a response is known though the connection ends behind it while the upload goes on; a response without
/// one is broken off.
#[tokio::test]
async fn an_early_response_is_whole_though_its_connection_ends_with_it() {
    let head = frame(1, 4, 1, &[0x88]);
    let data = frame(0, 0, 1, b"whole");
    let goaway = frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]);
    for (rest, whole, trailers) in [
        (vec![frame(0, 1, 1, b"whole")], true, ""),
        (vec![data.clone(), frame(0, 1, 1, b"")], true, ""),
        (
            vec![data.clone(), frame(1, 5, 1, b"\x00\x01t\x01v")],
            true,
            "t: v\n",
        ),
        (vec![data.clone()], false, ""),
        (vec![data.clone(), frame(0, 1, 3, b"")], false, ""),
    ] {
        let response = [head.clone(), rest.concat(), goaway.clone()].concat();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve_first(stream, response.clone(), true));
            }
        });
        let sidecar = Setup::in_front_of(address)
            .listener("upstream-http = \"http2\"")
            .start();
        let mut stream = sidecar.connect(&["http/1.1"]).await;
        let post = "POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
        stream.write_all(post.as_bytes()).await.unwrap();
        let response = within(read_response(&mut stream, false)).await;
        assert_eq!(response.is_ok(), whole, "{rest:?}: {response:?}");
        if let Ok(response) = response {
            assert_eq!(
                (response.status(), &response.body[..]),
                (200, &b"whole"[..])
            );
            assert_eq!(response.trailers, trailers);
        }
    }
}

/// The limits of response heads are those of HTTP/1.1: a client that does not read keeps one waiting.
#[tokio::test]
async fn a_response_head_is_bounded_as_over_http1() {
    let address = h2_app(|request, mut respond| async move {
        let mut response = h2_response(200);
        let path = request.uri().path().to_owned();
        let (count, length) = match path.as_str() {
            "/most" => (250, 900),
            "/fields" => (300, 1),
            "/long" => (20, 15_000),
            _ => (1, 1),
        };
        for index in 0..count {
            let name = http::HeaderName::try_from(format!("x-{index}")).unwrap();
            let value = http::HeaderValue::try_from("v".repeat(length)).unwrap();
            response.headers_mut().append(name, value);
        }
        let _ = respond.send_response(response, true);
    })
    .await;
    let sidecar = Setup::in_front_of(address)
        .listener("upstream-http = \"http2\"")
        .start();
    for (path, status) in [("/most", 200), ("/fields", 502), ("/long", 502), ("/", 200)] {
        let get = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(ask(&sidecar, &get).await.status(), status, "{path}");
    }
    let reason = [("reason", "bad_response")];
    let failed = sidecar.metric("hybridge_upstream_failures_total", &reason);
    assert_eq!(failed.await, 2.0);
}
