//! Interim responses without end (RFC 9110 §15.2).

use std::fmt::Write as _;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::http::{h2_app, h2_exchange, h2_request, h2_response, read_response};
use crate::support::{Setup, read_head, upstream, within};

/// An app that sends `count` interim responses before each final one.
async fn app(count: usize, field: &'static str) -> std::net::SocketAddr {
    upstream(move |mut stream| async move {
        while read_head(&mut stream).await.is_some() {
            let interim =
                format!("HTTP/1.1 103 Early Hints\r\nlink: {field}\r\n\r\n").repeat(count);
            let last = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            if stream.write_all((interim + last).as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await
}

#[tokio::test]
async fn as_many_as_are_usual_cross_and_a_flood_is_answered_502() {
    for (count, status) in [(32, 200), (33, 502), (100_000, 502)] {
        let sidecar = Setup::in_front_of(app(count, "</a>; rel=preload").await).start();
        let mut stream = sidecar.connect(&["http/1.1"]).await;
        let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut interim = 0;
        let head = loop {
            let head = within(read_response(&mut stream, false)).await.unwrap();
            if head.status() != 103 {
                break head;
            }
            interim += 1;
        };
        assert_eq!((head.status(), interim), (status, count.min(32)), "{count}");
        let client = sidecar.http2().await;
        let request = h2_request("GET", "/").body(()).unwrap();
        let (head, ..) = within(h2_exchange(&client, request, Bytes::new()))
            .await
            .unwrap();
        assert_eq!(head.status(), status, "{count}");
        let failed = if status == 502 { 2.0 } else { 0.0 };
        let reason = [("reason", "bad_response")];
        sidecar
            .metric_is("hybridge_upstream_failures_total", &reason, failed)
            .await;
    }
}

#[tokio::test]
async fn large_ones_count_by_their_bytes() {
    let field: &'static str = Box::leak("x".repeat(5_000).into_boxed_str());
    let sidecar = Setup::in_front_of(app(10, field).await).start();
    let answer = sidecar
        .exchange(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await;
    let answer = String::from_utf8_lossy(&answer);
    assert_eq!(answer.matches("HTTP/1.1 103").count(), 3);
    assert!(answer.contains("HTTP/1.1 502"), "{}", answer.len());
}

#[tokio::test]
async fn a_flood_over_http2_is_answered_502() {
    let app = h2_app(|_, mut respond| async move {
        for number in 0..1000 {
            let mut interim = http::Response::builder().status(103);
            let mut link = String::new();
            let _ = write!(link, "</{number}>");
            interim = interim.header("link", link);
            if respond
                .send_informational(interim.body(()).unwrap())
                .is_err()
            {
                return;
            }
        }
        let _ = respond.send_response(h2_response(200), true);
    })
    .await;
    let sidecar = Setup::in_front_of(app)
        .listener("upstream-http = \"http2\"")
        .start();
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut seen = Vec::new();
    within(stream.read_to_end(&mut seen)).await.unwrap();
    let seen = String::from_utf8_lossy(&seen);
    assert_eq!(seen.matches("HTTP/1.1 103").count(), 32, "{seen}");
    assert!(seen.contains("HTTP/1.1 502"), "{seen}");
}

/// HTTP/2 has no switch of protocols (RFC 9113 §8.6); forwarded, it would be one to an HTTP/1.1 client.
#[tokio::test]
async fn a_101_over_http2_is_answered_502() {
    let app = h2_app(|_, mut respond| async move {
        let switch = http::Response::builder().status(101).body(()).unwrap();
        let _ = respond.send_informational(switch);
        let _ = respond.send_response(h2_response(200), true);
    })
    .await;
    let sidecar = Setup::in_front_of(app)
        .listener("upstream-http = \"http2\"")
        .start();
    let answer = sidecar
        .exchange(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    let client = sidecar.http2().await;
    let request = h2_request("GET", "/").body(()).unwrap();
    let (head, ..) = within(h2_exchange(&client, request, Bytes::new()))
        .await
        .unwrap();
    assert_eq!(head.status(), 502);
    sidecar
        .metric_is(
            "hybridge_upstream_failures_total",
            &[("reason", "bad_response")],
            2.0,
        )
        .await;
}
