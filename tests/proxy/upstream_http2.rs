//! HTTP/2 connections to the app, which the streams of all clients share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::http::{Message, h2_exchange, h2_request, h2_response, read_response};
use crate::support::{Setup, Sidecar, within};
use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
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
