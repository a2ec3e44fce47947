//! Lifecycle hooks of the app through the admin port: they last as long as the kubelet waits, and no longer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::{request, with_probes};
use crate::support::{read_head, upstream, within};

fn hook(port: u16) -> String {
    format!(
        r#"[{{"path":"/probe/app/preStop","kind":"http","address":"127.0.0.1","port":{port},"target":"/drain","timeoutSeconds":0}}]"#
    )
}

/// An app that never answers; tells of each request, and of the end of each connection.
async fn silent(tell: mpsc::Sender<bool>) -> SocketAddr {
    upstream(move |mut stream| {
        let tell = tell.clone();
        async move {
            let asked = read_head(&mut stream).await.is_some();
            tell.send(asked).await.unwrap();
            // Until the sidecar closes the connection.
            let closed = !matches!(stream.read(&mut [0]).await, Ok(1..));
            tell.send(closed).await.unwrap();
        }
    })
    .await
}

/// vLLM's own drain takes as long as its longest stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_takes_seconds_is_waited_for() {
    let app = upstream(|mut stream| async move {
        while read_head(&mut stream).await.is_some() {
            tokio::time::sleep(Duration::from_millis(2500)).await;
            let response = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            if stream.write_all(response).await.is_err() {
                return;
            }
        }
    })
    .await;
    let process = with_probes(app, &hook(app.port())).await;
    let (status, _, body) = request(process.admin, "GET", "/probe/app/preStop").await;
    assert_eq!((status, body.as_str()), (200, "ok\n"));
}

/// Nothing else ends a call without a limit, should the app never answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_hook_ends_when_its_caller_goes() {
    let (tell, mut told) = mpsc::channel(2);
    let app = silent(tell).await;
    let process = with_probes(app, &hook(app.port())).await;
    let mut kubelet = TcpStream::connect(process.admin).await.unwrap();
    let request = b"GET /probe/app/preStop HTTP/1.1\r\nhost: a\r\n\r\n";
    kubelet.write_all(request).await.unwrap();
    assert_eq!(within(told.recv()).await, Some(true));
    let early = timeout(Duration::from_millis(1500), told.recv()).await;
    assert!(early.is_err(), "the hook ended while its caller waited");
    drop(kubelet);
    assert_eq!(within(told.recv()).await, Some(true));
}

/// Bytes of another request lie before its end, and nobody reads them.
#[tokio::test(flavor = "multi_thread")]
async fn a_hook_ends_when_its_caller_goes_that_has_sent_more() {
    let (tell, mut told) = mpsc::channel(2);
    let app = silent(tell).await;
    let process = with_probes(app, &hook(app.port())).await;
    for abortive in [false, true] {
        let mut kubelet = TcpStream::connect(process.admin).await.unwrap();
        let request = b"GET /probe/app/preStop HTTP/1.1\r\nhost: a\r\n\r\nG";
        kubelet.write_all(request).await.unwrap();
        assert_eq!(within(told.recv()).await, Some(true));
        let early = timeout(Duration::from_millis(1500), told.recv()).await;
        assert!(early.is_err(), "the hook ended while its caller waited");
        if abortive {
            kubelet.set_zero_linger().unwrap();
        }
        drop(kubelet);
        assert_eq!(within(told.recv()).await, Some(true), "{abortive}");
    }
}

/// The kubelet reads the body as well, and what it does with one that does not come is its own affair.
#[tokio::test(flavor = "multi_thread")]
async fn the_body_of_a_probe_ends_when_and_as_that_of_the_app_does() {
    let open = Arc::new(Semaphore::new(0));
    for whole in [true, false] {
        let opened = Arc::clone(&open);
        let app = upstream(move |mut stream| {
            let opened = Arc::clone(&opened);
            async move {
                let _ = read_head(&mut stream).await;
                let begun = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwe";
                stream.write_all(begun).await.unwrap();
                opened.acquire().await.unwrap().forget();
                if whole {
                    stream.write_all(b"ll").await.unwrap();
                }
            }
        })
        .await;
        let process = with_probes(app, &hook(app.port())).await;
        let mut kubelet = TcpStream::connect(process.admin).await.unwrap();
        let request = b"GET /probe/app/preStop HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        kubelet.write_all(request).await.unwrap();
        let head = within(read_head(&mut kubelet)).await.unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains("content-length: 3\r\n"), "{head}");
        let mut body = String::new();
        let early = timeout(
            Duration::from_millis(1500),
            kubelet.read_to_string(&mut body),
        )
        .await;
        assert!(early.is_err(), "the body ended before the app's: {body}");
        open.add_permits(1);
        within(kubelet.read_to_string(&mut body)).await.unwrap();
        assert_eq!(body, if whole { "ok\n" } else { "" });
    }
}
