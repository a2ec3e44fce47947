//! Requests that the h2 crate refuses by itself: what the client gets, and that each is counted once.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::frames::{self, END_HEADERS, END_STREAM, Frame, HEADERS, RST_STREAM, SETTINGS, frame};
use crate::support::http::echo_app;
use crate::support::{Setup, Sidecar, read_head, upstream, within};

const PROTOCOL_ERROR: [u8; 4] = [0, 0, 0, 1];
const NO_ERROR: [u8; 4] = [0; 4];
const USUAL: [(&str, &str); 4] = [
    (":method", "POST"),
    (":scheme", "https"),
    (":path", "/"),
    (":authority", "a"),
];

fn request(stream: u32, flags: u8, more: &[(&str, &str)]) -> Vec<u8> {
    let block = frames::fields(&[&USUAL[..], more].concat());
    frame(HEADERS, flags | END_HEADERS, stream, &block)
}

/// What comes for stream 1 until it is reset, and the status of the first head.
async fn outcome<S>(stream: &mut S) -> (Vec<u8>, Option<u16>, Vec<u8>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let (mut kinds, mut status) = (Vec::new(), None);
    within(async {
        loop {
            let next: Frame = frames::next(stream).await.unwrap().expect("a connection");
            if next.stream != 1 || next.kind == frames::WINDOW_UPDATE {
                continue;
            }
            kinds.push(next.kind);
            match next.kind {
                HEADERS => status = Some(next.status()),
                RST_STREAM => return (kinds, status, next.payload),
                _ => {}
            }
        }
    })
    .await
}

async fn counted(sidecar: &Sidecar, code: &str, count: f64) {
    let labels = [("protocol", "http2"), ("code", code)];
    sidecar
        .metric_is("hybridge_requests_total", &labels, count)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_does_not_fit_its_length_is_one_refused_request() {
    for content in [
        Vec::new(),
        frame(frames::DATA, END_STREAM, 1, b"ten bytes."),
    ] {
        let sidecar = Setup::in_front_of(echo_app().await).start();
        let mut stream = sidecar.connect(&["h2"]).await;
        frames::begin(&mut stream, 1 << 20, 0).await;
        let flags = if content.is_empty() { END_STREAM } else { 0 };
        let head = request(1, flags, &[("content-length", "5")]);
        stream.write_all(&[head, content].concat()).await.unwrap();
        let (_, status, _) = outcome(&mut stream).await;
        assert!(matches!(status, None | Some(400)), "{status:?}");
        counted(&sidecar, "4xx", 1.0).await;
        counted(&sidecar, "broken", 0.0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reset_behind_a_431_lets_the_client_read_it() {
    let sidecar = Setup::in_front_of(echo_app().await).start();
    let mut stream = sidecar.connect(&["h2"]).await;
    frames::begin(&mut stream, 1 << 20, 0).await;
    let value = "v".repeat(100);
    let many: Vec<_> = (0..1100).map(|_| ("x-large", value.as_str())).collect();
    let block = frames::fields(&[&USUAL[..], &many].concat());
    let mut pieces = block.chunks(16_000).peekable();
    let mut bytes = frame(HEADERS, 0, 1, pieces.next().unwrap());
    while let Some(piece) = pieces.next() {
        let flags = if pieces.peek().is_some() {
            0
        } else {
            END_HEADERS
        };
        bytes.extend(frame(9, flags, 1, piece));
    }
    stream.write_all(&bytes).await.unwrap();
    let (kinds, status, code) = outcome(&mut stream).await;
    assert_eq!((kinds, status), (vec![HEADERS, RST_STREAM], Some(431)));
    assert_eq!(code, NO_ERROR);
    counted(&sidecar, "4xx", 1.0).await;
}

/// RFC 7541 §4.2: the next header block must begin with an update, and it is the crate's to write.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_table_for_compression_gets_no_head_that_breaks_it() {
    let sidecar = Setup::in_front_of(echo_app().await).start();
    let mut stream = sidecar.connect(&["h2"]).await;
    let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    hello.extend(frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]));
    hello.extend(request(1, END_STREAM, &[("connection", "close")]));
    hello.extend(frames::get(3, "/"));
    stream.write_all(&hello).await.unwrap();
    let (kinds, _, code) = outcome(&mut stream).await;
    assert_eq!(kinds, [RST_STREAM]);
    assert_eq!(code, PROTOCOL_ERROR);
    let head = within(async {
        loop {
            let next = frames::next(&mut stream)
                .await
                .unwrap()
                .expect("a connection");
            if next.kind == HEADERS {
                return next;
            }
        }
    })
    .await;
    assert_eq!(head.payload[..2], [0x20, 0x88], "an update to 0, then 200");
    counted(&sidecar, "4xx", 1.0).await;
    counted(&sidecar, "2xx", 1.0).await;
}

/// The head of one request never ends; what is asked before it is answered, and none holds the connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_the_same_time_over_http2() {
    const GOAWAY: u8 = 7;
    for rest in [0, 5] {
        let app = upstream(async |mut stream: TcpStream| {
            read_head(&mut stream).await.unwrap();
            sleep(Duration::from_secs(3)).await;
            let late = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate";
            stream.write_all(late).await.unwrap();
        })
        .await;
        let sidecar = Setup::in_front_of(app)
            .timeouts("head-timeout = \"1s\"")
            .start();
        let mut stream = sidecar.connect(&["h2"]).await;
        frames::begin(&mut stream, 1 << 20, 0).await;
        let acknowledged = |next: &Frame| next.kind == SETTINGS && next.flags & frames::ACK != 0;
        while !acknowledged(&frames::next(&mut stream).await.unwrap().unwrap()) {}
        stream.write_all(&frames::get(1, "/")).await.unwrap();
        // Either CONTINUATION never comes, or the payload of the frame does not.
        let head = frame(HEADERS, END_STREAM, 3, &frames::fields(&USUAL));
        stream.write_all(&head[..head.len() - rest]).await.unwrap();
        let (mut told, mut status) = (false, None);
        // Without replies: no other frame may stand in an open head (RFC 9113 §6.10).
        within(async {
            let mut head = [0; 9];
            while stream.read_exact(&mut head).await.is_ok() {
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let mut payload = vec![0; length as usize];
                stream.read_exact(&mut payload).await.unwrap();
                told |= head[3] == GOAWAY;
                if head[3] == HEADERS {
                    assert!(told, "the response came first");
                    status = payload.first().copied();
                }
            }
        })
        .await;
        // `:status` 200 (RFC 7541 appendix A).
        assert_eq!(status, Some(0x88), "{rest}");
        let outcome = [("outcome", "timeout")];
        sidecar
            .metric_reaches("hybridge_connections_total", &outcome, 1.0)
            .await;
    }
}
