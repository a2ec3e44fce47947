//! Responses that come before their request has (RFC 9113 §8.1, RFC 9110 §9.3): the client may send
//! on, and gets the status.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use super::frames::{self, DATA, END_STREAM, HEADERS, RST_STREAM, WINDOW_UPDATE, frame, post};
use crate::support::http::{h2_exchange, h2_request, nobody};
use crate::support::{Setup, answering, read_head, upstream, within};

const BODY: usize = 3_000_000;

/// A body above a stream's window is taken in to its end, and no reset meets the client meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_on_gets_the_status_and_no_reset() {
    let (_reserved, address) = nobody();
    let sidecar = Setup::in_front_of(address).start();
    let mut stream = frames::connect(sidecar.address, &sidecar.ca, "h2", None).await;
    frames::begin(&mut stream, 65_535, 0).await;
    stream
        .write_all(&post(1, "/v1/chat/completions"))
        .await
        .unwrap();
    let (mut sent, mut status, mut ended) = (0_usize, false, false);
    // What the sidecar's settings give a stream; they come before the response.
    let mut window = 512 * 1024;
    let mut of_all = 65_535;
    within(async {
        while sent < BODY {
            if status && window.min(of_all) > 16 * 1024 {
                let piece = (BODY - sent).min(16 * 1024);
                let last = if sent + piece == BODY { END_STREAM } else { 0 };
                let data = frame(DATA, last, 1, &vec![0; piece]);
                stream.write_all(&data).await.unwrap();
                (sent, window) = (sent + piece, window - piece);
                of_all -= piece;
                continue;
            }
            let next = frames::next(&mut stream).await.unwrap().unwrap();
            match next.kind {
                HEADERS => status = true,
                DATA => ended |= next.flags & END_STREAM != 0,
                RST_STREAM => panic!("a reset after {sent} bytes"),
                WINDOW_UPDATE => {
                    let more = u32::from_be_bytes(next.payload[..4].try_into().unwrap());
                    match next.stream {
                        1 => window += more as usize,
                        _ => of_all += more as usize,
                    }
                }
                _ => {}
            }
        }
    })
    .await;
    assert!(status && ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_refuses_a_body_is_heard_over_http2() {
    let app = upstream(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig")
            .await;
        sleep(Duration::from_millis(50)).await;
    })
    .await;
    let sidecar = Setup::in_front_of(app).start();
    let client = sidecar.http2().await;
    for _ in 0..5 {
        let request = h2_request("POST", "/").body(()).unwrap();
        let body = Bytes::from(vec![0; 4_000_000]);
        let (head, content, _) = within(h2_exchange(&client, request, body)).await.unwrap();
        assert_eq!(head.status(), 413);
        assert_eq!(content, b"big");
    }
}

/// What never ends is refused after a while, with NO_ERROR.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stalls_its_body_is_reset_with_no_error() {
    let app = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    let sidecar = Setup::in_front_of(app).start();
    let mut stream = frames::connect(sidecar.address, &sidecar.ca, "h2", None).await;
    frames::begin(&mut stream, 65_535, 0).await;
    stream.write_all(&post(1, "/")).await.unwrap();
    within(async {
        loop {
            let next = frames::next(&mut stream).await.unwrap().unwrap();
            if next.kind == RST_STREAM {
                assert_eq!(next.payload, [0, 0, 0, 0]);
                return;
            }
        }
    })
    .await;
}
