//! An app that dies in the middle of an answer: all it said is delivered, and never a clean end.

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::http::{h2_request, pattern, read_chunk, read_head};
use crate::support::{Setup, Sidecar, upstream, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SWITCH: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhi";
const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const UPGRADE: &[u8] =
    b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

/// An app that says something and dies: `rudely` with RST, else with FIN.
async fn dying_app(said: Vec<u8>, rudely: bool, head: bool) -> SocketAddr {
    upstream(move |mut stream| {
        let said = said.clone();
        async move {
            if head {
                read_head(&mut stream).await.unwrap();
            } else {
                stream.read_u8().await.unwrap();
            }
            stream.write_all(&said).await.unwrap();
            if rudely {
                // What was said shall arrive: a reset may overtake it.
                tokio::time::sleep(Duration::from_millis(100)).await;
                socket2::SockRef::from(&stream)
                    .set_linger(Some(Duration::ZERO))
                    .unwrap();
            }
        }
    })
    .await
}

const LONG: usize = 1_000_000;
/// What the kernel of a receiver that does not read takes in: the rest dies with a sender that resets.
const TAKEN_IN: usize = 100_000;

fn long_answer(framing: &str, length: usize) -> Vec<u8> {
    let mut answer = match framing {
        "chunked" => format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n"),
        _ => format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", length + 1),
    }
    .into_bytes();
    answer.extend_from_slice(&pattern(length));
    if framing == "chunked" {
        answer.extend_from_slice(b"\r\n");
    }
    answer
}

#[tokio::test]
async fn an_app_that_dies_breaks_an_http1_answer_after_all_it_said() {
    for framing in ["chunked", "length"] {
        for (rudely, length) in [(false, LONG), (true, TAKEN_IN)] {
            let app = dying_app(long_answer(framing, length), rudely, true).await;
            let sidecar = Setup::in_front_of(app).start();
            let mut stream = sidecar.connect(&["http/1.1"]).await;
            stream.write_all(GET).await.unwrap();
            let head = within(read_head(&mut stream)).await.unwrap().unwrap();
            assert!(head.starts_with("HTTP/1.1 200"));
            // The client is slow: the break comes long before it has read everything.
            tokio::time::sleep(Duration::from_millis(200)).await;
            let mut content = Vec::new();
            let error = if framing == "chunked" {
                loop {
                    match within(read_chunk(&mut stream)).await {
                        Ok(Some(chunk)) => content.extend_from_slice(&chunk),
                        Ok(None) => panic!("a clean end"),
                        Err(error) => break error,
                    }
                }
            } else {
                within(stream.read_to_end(&mut content)).await.unwrap_err()
            };
            // No close_notify.
            assert_eq!(
                error.kind(),
                std::io::ErrorKind::UnexpectedEof,
                "{framing} {rudely}"
            );
            assert!(
                content == pattern(length),
                "{framing} {rudely}: {}",
                content.len()
            );
            broken(&sidecar).await;
        }
    }
}

async fn broken(sidecar: &Sidecar) {
    let reason = [("reason", "broken_body")];
    sidecar
        .metric_reaches("hybridge_upstream_failures_total", &reason, 1.0)
        .await;
    let code = [("code", "broken")];
    sidecar
        .metric_reaches("hybridge_requests_total", &code, 1.0)
        .await;
}

#[tokio::test]
async fn an_app_that_dies_resets_an_http2_stream_after_all_it_said() {
    for framing in ["chunked", "length"] {
        for (rudely, length) in [(false, LONG), (true, TAKEN_IN)] {
            let app = dying_app(long_answer(framing, length), rudely, true).await;
            let sidecar = Setup::in_front_of(app).start();
            let mut client = sidecar.http2().await;
            let request = h2_request("GET", "/").body(()).unwrap();
            let (response, _) = client.send_request(request, true).unwrap();
            let mut body = within(response).await.unwrap().into_body();
            tokio::time::sleep(Duration::from_millis(200)).await;
            let mut content = Vec::new();
            let error = loop {
                match within(body.data()).await.expect("a clean end") {
                    Ok(piece) => {
                        body.flow_control().release_capacity(piece.len()).unwrap();
                        content.extend_from_slice(&piece);
                    }
                    Err(error) => break error,
                }
            };
            assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR));
            assert!(
                content == pattern(length),
                "{framing} {rudely}: {}",
                content.len()
            );
            broken(&sidecar).await;
        }
    }
}

#[tokio::test]
async fn an_app_that_resets_breaks_a_tunnel_without_a_clean_end() {
    for http in [true, false] {
        let mut said = if http {
            SWITCH.to_vec()
        } else {
            b"hi".to_vec()
        };
        said.extend_from_slice(&pattern(TAKEN_IN));
        let app = dying_app(said, true, http).await;
        let protocol = if http { "http" } else { "tcp" };
        let sidecar = Setup::in_front_of(app)
            .listener(&format!("protocol = \"{protocol}\""))
            .start();
        let mut stream = sidecar.connect(&[]).await;
        stream
            .write_all(if http { UPGRADE } else { b"x" })
            .await
            .unwrap();
        if http {
            within(read_head(&mut stream)).await.unwrap().unwrap();
        }
        let mut content = Vec::new();
        let error = within(stream.read_to_end(&mut content)).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
        assert!(
            content[2..] == pattern(TAKEN_IN),
            "{protocol}: {}",
            content.len()
        );
    }
}
