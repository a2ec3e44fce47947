//! What a peer does wrong is found in the log and in the metrics: the line says who, and why.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::http::read_response;
use crate::support::process::Process;
use crate::support::{Setup, eventually, upstream, within};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let head = [0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream];
    [&head[..], payload].concat()
}

/// One line above debug has all of these.
async fn says(process: &Process, texts: &[&str]) {
    let what = format!("{texts:?} in a line of {}", process.log());
    eventually(&what, async || {
        let log = process.log();
        let mut lines = log.lines().filter(|line| !line.contains("level=DEBUG"));
        lines.any(|line| texts.iter().all(|text| line.contains(text)))
    })
    .await;
}

/// Reads the preface and frames, up to the head of a request.
async fn until_a_request(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.read_exact(&mut [0; 24]).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        stream.read_exact(&mut vec![0; length as usize]).await?;
        if head[3] == HEADERS {
            return Ok(());
        }
    }
}

/// An app behind `upstream-http = "http2"` that speaks something else, or breaks HTTP/2, or says why it ends.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_upstream_says_wrong_over_http2_is_named() {
    let settings = frame(SETTINGS, 0, 0, &[]);
    for (instead, first, reason, said) in [
        (
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            true,
            "bad_response",
            "set upstream-http to http1",
        ),
        (
            b"\x15\x03\x03\0\x02\x02\x46",
            true,
            "bad_response",
            "it is a TLS alert",
        ),
        (
            b"SSH-2.0-OpenSSH\r\n",
            true,
            "bad_response",
            "does not follow HTTP/2: ",
        ),
        // DATA on stream 0, GOAWAY and RST_STREAM with ENHANCE_YOUR_CALM.
        (
            &frame(DATA, 0, 0, b"x"),
            false,
            "bad_response",
            "does not follow HTTP/2: PROTOCOL_ERROR",
        ),
        (
            &frame(GOAWAY, 0, 0, b"\0\0\0\x01\0\0\0\x0b"),
            false,
            "closed",
            "before it answered: ENHANCE_YOUR_CALM",
        ),
        (
            &frame(RST_STREAM, 0, 1, b"\0\0\0\x0b"),
            false,
            "closed",
            "before it answered: ENHANCE_YOUR_CALM",
        ),
    ] {
        let (instead, settings) = (instead.to_vec(), settings.clone());
        let app = upstream(move |mut stream| {
            let (instead, settings) = (instead.clone(), settings.clone());
            async move {
                if first {
                    let _ = stream.read_exact(&mut [0; 24]).await;
                } else {
                    stream.write_all(&settings).await.unwrap();
                    until_a_request(&mut stream).await.unwrap();
                }
                let _ = stream.write_all(&instead).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        let listener = "upstream-http = \"http2\"";
        let setup = Setup::in_front_of(app.await).listener(listener);
        let process = Process::start(&setup).await;
        let mut client = process.connect(&["http/1.1"]).await;
        let post = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";
        client.write_all(post).await.unwrap();
        let response = within(read_response(&mut client, false)).await;
        assert_eq!(response.unwrap().status(), 502, "{said}");
        let reason = format!("reason=\"{reason}\"");
        says(&process, &["message=\"upstream failed\"", &reason, said]).await;
    }
}
