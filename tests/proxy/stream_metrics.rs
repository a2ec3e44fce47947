//! Token streams as they are measured: from every kind of app to every kind of client, and only where
//! that was asked for.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::support::http::{h2_app, h2_request, h2_response, ok, read_chunk, read_head};
use crate::support::{Setup, Sidecar, upstream, within};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

const PIECES: usize = 5;
const FIRST: &str = "hybridge_stream_first_piece_seconds_count";
const GAPS: &str = "hybridge_stream_gap_seconds_count";

/// Writes a piece whenever the client has seen the one before; a request for `/whole` is answered at once.
async fn http1_app(kind: &'static str, seen: Arc<Semaphore>) -> SocketAddr {
    upstream(move |mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            while let Ok(Some(head)) = read_head(&mut stream).await {
                if head.contains("/whole") {
                    stream.write_all(&ok("whole")).await.unwrap();
                    continue;
                }
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                for _ in 0..PIECES {
                    seen.acquire().await.unwrap().forget();
                    stream.write_all(b"2\r\nhi\r\n").await.unwrap();
                }
                stream.write_all(b"0\r\n\r\n").await.unwrap();
            }
        }
    })
    .await
}

async fn http2_app(kind: &'static str, seen: Arc<Semaphore>) -> SocketAddr {
    h2_app(move |request, mut respond| {
        let seen = Arc::clone(&seen);
        async move {
            let mut response = h2_response(200);
            if request.uri().path() == "/whole" {
                let mut stream = respond.send_response(response, false).unwrap();
                return stream.send_data("whole".into(), true).unwrap();
            }
            let fields = response.headers_mut();
            fields.insert("content-type", kind.parse().unwrap());
            let mut stream = respond.send_response(response, false).unwrap();
            for number in 0..PIECES {
                seen.acquire().await.unwrap().forget();
                stream.send_data("hi".into(), number + 1 == PIECES).unwrap();
            }
        }
    })
    .await
}

/// Reads a stream to its end; `open`: what is to be open after its first piece.
async fn follow(sidecar: &Sidecar, protocol: &str, seen: &Semaphore, open: f64) {
    let labels = [("protocol", protocol)];
    if protocol == "http1" {
        let mut stream = sidecar.connect(&["http/1.1"]).await;
        for target in ["/whole", "/stream"] {
            let head = format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let head = within(read_head(&mut stream)).await.unwrap().unwrap();
            if target == "/whole" && !head.contains("chunked") {
                let mut body = [0; 5];
                let reading = tokio::io::AsyncReadExt::read_exact(&mut stream, &mut body);
                within(reading).await.unwrap();
            } else if target == "/whole" {
                while within(read_chunk(&mut stream)).await.unwrap().is_some() {}
            }
        }
        for number in 0..PIECES {
            seen.add_permits(1);
            within(read_chunk(&mut stream)).await.unwrap().unwrap();
            if number == 0 {
                sidecar
                    .metric_is("hybridge_streams_open", &labels, open)
                    .await;
            }
        }
        assert_eq!(within(read_chunk(&mut stream)).await.unwrap(), None);
        return;
    }
    let mut client = sidecar.http2().await;
    for target in ["/whole", "/stream"] {
        let mut request = h2_request("POST", target);
        if protocol == "grpc" && target == "/stream" {
            request = request.header("content-type", "application/grpc");
        }
        let (response, _) = client
            .send_request(request.body(()).unwrap(), true)
            .unwrap();
        let mut body = within(response).await.unwrap().into_body();
        for number in 0..PIECES {
            seen.add_permits(usize::from(target == "/stream"));
            let Some(piece) = within(body.data()).await else {
                break;
            };
            let piece = piece.unwrap();
            let _ = body.flow_control().release_capacity(piece.len());
            if target == "/whole" {
                break;
            }
            if number == 0 {
                sidecar
                    .metric_is("hybridge_streams_open", &labels, open)
                    .await;
            }
        }
        if target == "/stream" {
            let end = within(body.data()).await;
            assert!(end.is_none_or(|end| end.unwrap().is_empty()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn first_piece_gaps_and_open_streams_are_counted_for_each_kind_of_app_and_client() {
    for app_speaks in ["http1", "http2"] {
        for (kind, protocol) in [
            ("text/event-stream; charset=utf-8", "http1"),
            ("application/x-ndjson", "http2"),
            ("application/grpc", "grpc"),
        ] {
            if (app_speaks, protocol) == ("http1", "grpc") {
                continue;
            }
            let seen = Arc::new(Semaphore::new(0));
            let app = match app_speaks {
                "http1" => http1_app(kind, Arc::clone(&seen)).await,
                _ => http2_app(kind, Arc::clone(&seen)).await,
            };
            let settings = format!("upstream-http = \"{app_speaks}\"\nstream-metrics = true");
            let sidecar = Setup::in_front_of(app).listener(&settings).start();
            follow(&sidecar, protocol, &seen, 1.0).await;
            let labels = [("protocol", protocol)];
            let what = (app_speaks, protocol);
            sidecar
                .metric_is("hybridge_streams_open", &labels, 0.0)
                .await;
            assert_eq!((what, sidecar.metric(FIRST, &labels).await), (what, 1.0));
            let gaps = PIECES as f64 - 1.0;
            assert_eq!((what, sidecar.metric(GAPS, &labels).await), (what, gaps));
            // A body that came at once is none, and other protocols have none.
            assert_eq!((what, sidecar.metric(FIRST, &[]).await), (what, 1.0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_measured_unless_that_was_asked_for() {
    let seen = Arc::new(Semaphore::new(0));
    let app = http1_app("text/event-stream", Arc::clone(&seen)).await;
    let sidecar = Setup::in_front_of(app).start();
    follow(&sidecar, "http1", &seen, 0.0).await;
    let (_, page) = sidecar.admin("/metrics").await;
    assert!(!page.contains("hybridge_stream"), "{page}");
}

/// Both at once: the silence is measured from the last piece.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_that_is_measured_is_cut_by_the_idle_timeout_and_counted_as_closed() {
    let seen = Arc::new(Semaphore::new(1));
    let app = http1_app("text/event-stream", Arc::clone(&seen)).await;
    let sidecar = Setup::in_front_of(app)
        .listener("stream-metrics = true")
        .timeouts("idle-timeout = \"300ms\"")
        .start();
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    let head = b"GET /stream HTTP/1.1\r\nhost: a\r\n\r\n";
    stream.write_all(head).await.unwrap();
    within(read_head(&mut stream)).await.unwrap().unwrap();
    within(read_chunk(&mut stream)).await.unwrap().unwrap();
    assert!(within(read_chunk(&mut stream)).await.is_err());
    sidecar.metric_is("hybridge_streams_open", &[], 0.0).await;
    assert_eq!(sidecar.metric(FIRST, &[]).await, 1.0);
    assert_eq!(sidecar.metric(GAPS, &[]).await, 0.0);
}
