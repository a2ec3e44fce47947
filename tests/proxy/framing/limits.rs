//! Heads that are too large: refused, and those just within the limits served.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use crate::support::http::{counted_app, h2_exchange, h2_request, ok, read_response};
use crate::support::{Setup, within};

#[tokio::test]
async fn heads_over_the_limits_are_answered_431() {
    let (app, connections) = counted_app(|_| async { ok("") }).await;
    let sidecar = Setup::in_front_of(app).start();
    let get = |fields: String| format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}\r\n").into_bytes();
    let long = get(format!("x: {}\r\n", "y".repeat(64 * 1024)));
    let endless = get(format!("x: {}", "y".repeat(200 * 1024)));
    let many = get((0..100).fold(String::new(), |all, n| all + &format!("x-{n}: 1\r\n")));
    for request in [long, endless, many] {
        let answer = String::from_utf8(sidecar.exchange(&request).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
    // Just within both limits.
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    let many = (0..98).fold(String::new(), |all, n| all + &format!("x-{n}: 1\r\n"));
    let long = format!("x: {}\r\n", "y".repeat(62 * 1024));
    stream.write_all(&get(many + &long)).await.unwrap();
    assert_eq!(
        within(read_response(&mut stream, false))
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn http2_heads_over_the_limits_are_answered_431() {
    let (app, connections) = counted_app(|_| async { ok("") }).await;
    let sidecar = Setup::in_front_of(app).start();
    let client = sidecar.http2().await;
    let mut many = h2_request("GET", "/");
    for number in 0..101 {
        many = many.header(format!("x-{number}"), "1");
    }
    let long = h2_request("GET", "/").header("x", "y".repeat(65 * 1024));
    for request in [many, long] {
        let request = request.body(()).unwrap();
        let (head, ..) = within(h2_exchange(&client, request, Bytes::new()))
            .await
            .unwrap();
        assert_eq!(head.status(), 431);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
    let fine = h2_request("GET", "/").body(()).unwrap();
    let (head, ..) = within(h2_exchange(&client, fine, Bytes::new()))
        .await
        .unwrap();
    assert_eq!(head.status(), 200);
}
