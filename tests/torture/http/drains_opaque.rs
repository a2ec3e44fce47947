//! Slow readers of bytes that are no HTTP while the process drains: raw TCP, and what follows an upgrade.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::client::TlsStream;

use super::frames;
use crate::support::http::pattern;
use crate::support::process::Process;
use crate::support::{Setup, read_head, upstream, within};

const SIZE: usize = 1_500_000;
const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
const SWITCHED: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

/// An upstream that switches protocols, sends its bytes and closes.
async fn switching() -> SocketAddr {
    upstream(|mut stream| async move {
        if read_head(&mut stream).await.is_some() && stream.write_all(SWITCHED).await.is_ok() {
            let _ = stream.write_all(&pattern(SIZE)).await;
        }
    })
    .await
}

/// Reads slowly to the end of the stream.
async fn read(stream: &mut TlsStream<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut seen = Vec::new();
    loop {
        let mut piece = [0; 16 * 1024];
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Ok(seen);
        }
        seen.extend_from_slice(&piece[..count]);
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_slow_reader_of_a_tunnel_is_cut_while_the_exit_code_is_0() {
    let app = switching().await;
    for protocol in ["tcp", "http"] {
        let setup = Setup::in_front_of(app)
            .listener(&format!("protocol = \"{protocol}\""))
            .process("workers = 1\n[drain]\ndelay = \"0s\"\ntimeout = \"15s\"");
        let process = Process::start(&setup).await;
        let mut stream =
            frames::connect(process.address, &process.ca, "http/1.1", Some(8192)).await;
        stream.write_all(REQUEST).await.unwrap();
        let sent = [("direction", "out")];
        process
            .metric_reaches("hybridge_payload_bytes_total", &sent, 100_000.0)
            .await;
        process.signal(Signal::TERM);
        let seen = within(Box::pin(read(&mut stream))).await.unwrap();
        let begin = seen.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        assert!(
            seen[begin..] == pattern(SIZE),
            "{protocol}: {} bytes",
            seen.len()
        );
        // Its own direction is open until it says otherwise.
        stream.shutdown().await.unwrap();
        let (code, log) = process.ended().await;
        assert_eq!(code, Some(0), "{protocol}: {log}");
    }
}
