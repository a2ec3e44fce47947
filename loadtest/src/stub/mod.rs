//! The tool's own model server without TLS: the backend of the peers plans, the null target that shows what the
//! generator alone costs, and the far end of tests. Paths as in `hybridge demo`; `/` is a small fixed response.
//! HTTP/1.1 here, HTTP/2 on the same port in `http2`.

mod http2;
mod small;

use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use small::SMALL;

use crate::http::h1::{Body, H1, Head};
use crate::net::accept::accept;
use crate::net::stamp::stamp;
use crate::net::timer::Timer;

/// Bytes of a question, at most.
const LARGEST_QUESTION: usize = 1 << 20;
/// As `hybridge demo` has them.
const MAX_TOKENS: u64 = 1_000_000;
const MAX_INTERVAL_MS: f64 = 3_600_000.0;

const TOKEN: &str = "data: {\"id\":\"cmpl-1\",\"object\":\"chat.completion.chunk\",\
                     \"choices\":[{\"index\":0,\"delta\":{\"content\":\" token\"}}]}\n\n";

/// Serves connections until dropped.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let peer = accept(&listener).await?;
        // One that has gone already has none to set.
        peer.set_nodelay(true).ok();
        // A connection that ends is the client's business.
        tokio::spawn(async move { serve_connection(peer).await.ok() });
    }
}

/// Responds to requests on one connection, plain or not, until it closes; the first bytes tell which HTTP it speaks.
pub async fn serve_connection<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> io::Result<()> {
    let mut h1 = H1::new(stream);
    if h1.begins_with(http2::PREFACE).await? {
        let (stream, ahead) = h1.into_parts();
        return http2::serve_connection(stream, ahead).await;
    }
    while let Some(head) = h1.head(true).await? {
        respond(&mut h1, &head).await?;
        if !head.keep_alive {
            break;
        }
    }
    h1.stream.shutdown().await
}

async fn respond<S: AsyncRead + AsyncWrite + Unpin>(h1: &mut H1<S>, head: &Head) -> io::Result<()> {
    if head.expects_continue {
        h1.send(b"HTTP/1.1 100 Continue\r\n\r\n", 0).await?;
    }
    if head.method == "POST" && head.target == "/v1/chat/completions" {
        return stream_tokens(h1, head.body).await;
    }
    let received = h1.drain(head.body).await?;
    if let Some(length) = head.target.strip_prefix("/blob/") {
        return match length.parse() {
            Ok(length) => {
                h1.send(&response("application/octet-stream", length), length)
                    .await
            }
            Err(_) => refuse(h1, "400 Bad Request").await,
        };
    }
    let text = if head.target == "/sink" {
        format!("{received}\n")
    } else {
        SMALL.to_owned()
    };
    let head = response("application/json", text.len() as u64);
    h1.send(&[head.as_slice(), text.as_bytes()].concat(), 0)
        .await
}

async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(h1: &mut H1<S>, status: &str) -> io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    h1.send(head.as_bytes(), 0).await
}

fn response(kind: &str, length: u64) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n")
        .into_bytes()
}

async fn stream_tokens<S: AsyncRead + AsyncWrite + Unpin>(
    h1: &mut H1<S>,
    mut body: Body,
) -> io::Result<()> {
    let mut text = Vec::new();
    while let Some(piece) = h1.piece(&mut body).await? {
        // Read to its end all the same: a client that is still writing would not see the answer.
        if text.len() <= LARGEST_QUESTION {
            text.extend_from_slice(piece);
        }
    }
    if text.len() > LARGEST_QUESTION {
        return refuse(h1, "413 Content Too Large").await;
    }
    let parameters: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    let tokens = parameters
        .get("max_tokens")
        .and_then(serde_json::Value::as_u64)
        .unwrap_or(16)
        .min(MAX_TOKENS) as u32;
    let pause = parameters
        .get("hybridge_interval_ms")
        .and_then(serde_json::Value::as_f64)
        .unwrap_or(0.0);
    if !(0.0..=MAX_INTERVAL_MS).contains(&pause) {
        return refuse(h1, "400 Bad Request").await;
    }
    let pause = Duration::from_secs_f64(pause / 1000.0);
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    h1.send(head.as_bytes(), 0).await?;
    let (mut timer, start) = (Timer::new()?, Instant::now());
    for token in 0..tokens {
        timer.sleep_until(start + pause * token).await?;
        let event = format!("id: {}\n{TOKEN}", stamp());
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        h1.send(chunk.as_bytes(), 0).await?;
    }
    h1.send(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n", 0).await
}
