//! Clients that open many streams and give no window (RFC 9113 §5.2): what that costs, and whom.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::client::TlsStream;

use super::frames::{self, DATA, END_STREAM, HEADERS, WINDOW_UPDATE, frame};
use crate::support::http::{nobody, pattern};
use crate::support::program::Program;
use crate::support::{Setup, read_head, upstream, within};

pub(super) const STREAMS: u32 = 250;
const MIB: u64 = 1024 * 1024;

/// A server of responses of `size` bytes.
pub(super) async fn app(size: usize) -> std::net::SocketAddr {
    let content = Arc::new(pattern(size));
    upstream(move |mut stream| {
        let content = Arc::clone(&content);
        async move {
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
                content.len()
            );
            while read_head(&mut stream).await.is_some() {
                if stream.write_all(head.as_bytes()).await.is_err()
                    || stream.write_all(&content).await.is_err()
                {
                    return;
                }
            }
        }
    })
    .await
}

/// A connection whose every stream has its response's head and `window` bytes of window.
pub(super) async fn stalled(program: &Program, window: u32) -> TlsStream<TcpStream> {
    let mut stream = program.connect(&["h2"]).await;
    frames::begin(&mut stream, window, 1 << 30).await;
    let mut heads = 0;
    for batch in (0..STREAMS).collect::<Vec<_>>().chunks(50) {
        let requests: Vec<_> = batch.iter().map(|n| frames::get(2 * n + 1, "/")).collect();
        stream.write_all(&requests.concat()).await.unwrap();
        let all = heads + batch.len();
        within(async {
            while heads < all {
                let next = frames::next(&mut stream).await.unwrap().unwrap();
                heads += usize::from(next.kind == HEADERS);
            }
        })
        .await;
    }
    stream
}

async fn is_served(program: &Program, size: usize) {
    let mut stream = program.connect(&["http/1.1"]).await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut seen = Vec::new();
    within(stream.read_to_end(&mut seen)).await.unwrap();
    assert!(seen.ends_with(&pattern(size)[size - 100..]));
    let mut stream = program.connect(&["h2"]).await;
    frames::begin(&mut stream, 1 << 30, 1 << 30).await;
    stream.write_all(&frames::get(1, "/")).await.unwrap();
    let mut got = 0;
    within(async {
        loop {
            let next = frames::next(&mut stream).await.unwrap().unwrap();
            got += if next.kind == DATA {
                next.payload.len()
            } else {
                0
            };
            if next.kind == DATA && next.flags & END_STREAM != 0 {
                return;
            }
        }
    })
    .await;
    assert_eq!(got, size);
}

/// A window of zero from the beginning, and one that is used up in the middle.
#[tokio::test(flavor = "multi_thread")]
async fn many_streams_without_window_cost_what_the_documents_say() {
    const SIZE: usize = 300_000;
    const CONNECTIONS: u64 = 6;
    for window in [0, 20_000] {
        let program = Program::start(app(SIZE).await, "http").await;
        is_served(&program, SIZE).await;
        let before = program.memory("VmRSS");
        let mut held = Vec::new();
        for number in 1..=CONNECTIONS {
            held.push(stalled(&program, window).await);
            sleep(Duration::from_millis(300)).await;
            let grown = program.memory("VmRSS").saturating_sub(before);
            println!(
                "window {window}, {number} connections: {} KiB more",
                grown / 1024
            );
        }
        let grown = program.memory("VmHWM").saturating_sub(before);
        // Each connection: 250 streams and a MiB unsent.
        let most = CONNECTIONS * A_CONNECTION;
        assert!(grown < most, "window {window}: {grown} of {most} bytes");
        is_served(&program, SIZE).await;
    }
}

/// The text of a local reply has no window, and the request does not end: h2 counts such a stream for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_without_window_to_an_unfinished_request_ends_with_its_connection() {
    let (_held, nobody) = nobody();
    let sidecar = Setup::in_front_of(nobody).start();
    let mut stream = sidecar.connect(&["h2"]).await;
    frames::begin(&mut stream, 0, 0).await;
    stream.write_all(&frames::post(1, "/")).await.unwrap();
    let reply = within(async {
        loop {
            let next = frames::next(&mut stream).await.unwrap().unwrap();
            if next.kind == HEADERS {
                return next;
            }
        }
    });
    assert_eq!(reply.await.status(), 502);
    // Until nobody waits for the rest of the request.
    let reset = within(async {
        loop {
            let next = frames::next(&mut stream).await.unwrap().unwrap();
            if next.kind == frames::RST_STREAM {
                return next.payload;
            }
        }
    });
    assert_eq!(reset.await, [0; 4]);
    drop(stream);
    let connections = "hybridge_connections_total";
    sidecar.metric_reaches(connections, &[], 1.0).await;
    let panics = "hybridge_panics_total";
    let task = [("task", "connection")];
    assert_eq!(sidecar.metric(panics, &task).await, 0.0);
}

/// What 250 streams may cost, bookkeeping included.
pub(super) const A_CONNECTION: u64 = 8 * MIB;

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_waited_for_room_get_every_byte() {
    const SIZE: usize = 100_000;
    let program = Program::start(app(SIZE).await, "http").await;
    let mut stream = stalled(&program, 0).await;
    let expected = pattern(SIZE);
    let mut got = vec![0; STREAMS as usize];
    let mut credit = Vec::new();
    for number in 0..STREAMS {
        credit.extend(frame(
            WINDOW_UPDATE,
            0,
            2 * number + 1,
            &(SIZE as u32).to_be_bytes(),
        ));
    }
    stream.write_all(&credit).await.unwrap();
    let mut ended = 0;
    within(async {
        while ended < STREAMS {
            let next = frames::next(&mut stream).await.unwrap().unwrap();
            if next.kind != DATA {
                continue;
            }
            let at = &mut got[next.stream as usize / 2];
            assert!(next.payload == expected[*at..*at + next.payload.len()]);
            *at += next.payload.len();
            ended += u32::from(next.flags & END_STREAM != 0);
        }
    })
    .await;
    assert!(got.iter().all(|got| *got == SIZE));
}
