//! A drain that meets a handshake: the request that comes right behind it is served, and told that it
//! is the last (RFC 9112 §9.6, RFC 9113 §6.8).

use std::time::Instant;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{DEADLINE, Setup, Sidecar, answering, client_config, within};

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// A connection accepted before a drain, whose handshake begins after it did.
async fn handshake_in_drain(alpn: &str) -> (Sidecar, TlsStream<TcpStream>) {
    let mut sidecar = Setup::in_front_of(answering(EMPTY).await).start();
    let socket = TcpStream::connect(sidecar.address).await.unwrap();
    sidecar
        .metric_is("hybridge_connections_open", &[], 1.0)
        .await;
    let running = sidecar.running.take().unwrap();
    tokio::spawn(running.shutdown());
    crate::support::eventually("connections to be refused", async || {
        TcpStream::connect(sidecar.address).await.is_err()
    })
    .await;
    let config = client_config(&sidecar.ca, &[alpn]);
    let connector = TlsConnector::from(std::sync::Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    let stream = within(connector.connect(name, socket)).await.unwrap();
    (sidecar, stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_behind_a_handshake_that_a_drain_meets_is_served() {
    let (_sidecar, mut stream) = handshake_in_drain("http/1.1").await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http2_request_behind_a_handshake_that_a_drain_meets_is_served() {
    let (_sidecar, stream) = handshake_in_drain("h2").await;
    let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("https://localhost/").body(()).unwrap();
    let (response, _) = sender.send_request(request, true).unwrap();
    assert_eq!(within(response).await.unwrap().status(), 200);
    // GOAWAY ends it without a request of ours to do so.
    let ended = within(connection).await.unwrap();
    assert!(ended.is_ok() || ended.is_err_and(|error| error.is_go_away()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_a_request_does_not_hold_a_drain_up() {
    let (_sidecar, mut stream) = handshake_in_drain("http/1.1").await;
    let begin = Instant::now();
    let mut answer = Vec::new();
    within(stream.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, b"");
    assert!(begin.elapsed() < DEADLINE / 2);
}
