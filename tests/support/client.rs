//! A client's side of an HTTP/1.1 connection over TLS: what is sent at once, what is waited for.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::within;

pub type Client = TlsStream<TcpStream>;

/// Sends a GET.
pub async fn ask(client: &mut Client, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
}

/// Reads until `text` has come.
pub async fn read_until(client: &mut Client, text: &str) -> String {
    let mut seen = Vec::new();
    within(async {
        while !String::from_utf8_lossy(&seen).contains(text) {
            let count = client.read_buf(&mut seen).await.unwrap();
            assert_ne!(count, 0, "ended before `{text}`: {}", seen.escape_ascii());
        }
    })
    .await;
    String::from_utf8(seen).unwrap()
}

/// Reads to the end; fails if it is not a clean one (close_notify).
pub async fn read_to_end(client: &mut Client) -> String {
    let mut rest = String::new();
    within(client.read_to_string(&mut rest)).await.unwrap();
    rest
}

/// Begins an event stream.
pub async fn stream(mut client: Client) -> Client {
    ask(&mut client, "/stream").await;
    read_until(&mut client, "data: x").await;
    client
}
