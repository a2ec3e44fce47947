//! A slow reader blocks the writer at the other end, and memory stays flat: with the shipped program
//! as a process of its own, whose resident memory the kernel tells.
//!
//! `HYBRIDGE_BIN` names another binary, such as the release build.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::http::{h2_request, read_head, send_h2};
use crate::support::program::Program;
use crate::support::{upstream, within};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const MIB: u64 = 1024 * 1024;
/// What one transfer may keep in our buffers, all along the way.
const OURS: u64 = 4 * MIB;

/// What one transfer may keep on the way: ours, and what this kernel may grow the buffers of two
/// connections to.
fn most_under_way() -> u64 {
    let largest = |name: &str| -> u64 {
        let sizes = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap();
        sizes.split_whitespace().last().unwrap().parse().unwrap()
    };
    OURS + 2 * (largest("tcp_rmem") + largest("tcp_wmem"))
}
/// The bytes of every transfer: the one at offset `n` is `n % 251`.
fn block() -> Arc<Vec<u8>> {
    Arc::new((0..251 * 4096).map(|at| (at % 251) as u8).collect())
}

/// Receives and checks bytes.
struct Checked {
    block: Arc<Vec<u8>>,
    received: u64,
}

impl Checked {
    fn new() -> Self {
        Self {
            block: block(),
            received: 0,
        }
    }

    fn add(&mut self, piece: &[u8]) {
        let at = (self.received % 251) as usize;
        assert!(
            piece == &self.block[at..at + piece.len()],
            "wrong bytes after {}",
            self.received
        );
        self.received += piece.len() as u64;
    }
}

/// The three ways through the proxy.
const WAYS: [&str; 3] = ["h1", "h2", "tcp"];

fn protocol(way: &str) -> &'static str {
    if way == "tcp" { "tcp" } else { "http" }
}

/// An app that answers with `size` bytes and counts what it could write.
async fn source(way: &'static str, size: u64) -> (SocketAddr, Arc<AtomicU64>) {
    let written = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&written);
    let block = block();
    let address = upstream(move |mut stream| {
        let (block, count) = (Arc::clone(&block), Arc::clone(&count));
        async move {
            if way != "tcp" {
                let Ok(Some(_)) = read_head(&mut stream).await else {
                    return;
                };
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
            } else if stream.read_u8().await.is_err() {
                return;
            }
            let mut left = size;
            while left > 0 {
                let piece = (block.len() as u64).min(left) as usize;
                let Ok(()) = stream.write_all(&block[..piece]).await else {
                    return;
                };
                count.fetch_add(piece as u64, Ordering::Relaxed);
                left -= piece as u64;
            }
        }
    })
    .await;
    (address, written)
}

/// What a client reads from.
enum Download {
    Bytes(Box<TlsStream<TcpStream>>),
    Frames(h2::RecvStream),
}

impl Download {
    async fn begin(program: &Program, way: &str) -> Self {
        if way == "h2" {
            let stream = program.connect(&["h2"]).await;
            let mut builder = h2::client::Builder::new();
            builder
                .initial_window_size(1 << 20)
                .initial_connection_window_size(1 << 20);
            let (mut client, connection) = builder.handshake::<_, Bytes>(stream).await.unwrap();
            tokio::spawn(connection);
            let request = h2_request("GET", "/").body(()).unwrap();
            let (response, _) = client.send_request(request, true).unwrap();
            return Self::Frames(within(response).await.unwrap().into_body());
        }
        let mut stream = program
            .connect(&["http/1.1"][..usize::from(way == "h1")])
            .await;
        if way == "h1" {
            stream
                .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                .await
                .unwrap();
            within(read_head(&mut stream)).await.unwrap().unwrap();
        } else {
            stream.write_all(b"x").await.unwrap();
        }
        Self::Bytes(Box::new(stream))
    }

    async fn read(&mut self, checked: &mut Checked, room: &mut [u8]) {
        match self {
            Self::Bytes(stream) => {
                let count = within(stream.read(room)).await.unwrap();
                assert!(count > 0, "ended after {}", checked.received);
                checked.add(&room[..count]);
            }
            Self::Frames(body) => {
                let piece = within(body.data()).await.unwrap().unwrap();
                body.flow_control().release_capacity(piece.len()).unwrap();
                checked.add(&piece);
            }
        }
    }
}

/// Waits until a count stands still.
async fn stalled(count: &AtomicU64) -> u64 {
    let started = Instant::now();
    let mut last = (0, Instant::now());
    loop {
        let now = count.load(Ordering::Relaxed);
        if now != last.0 {
            last = (now, Instant::now());
        } else if now > 0 && last.1.elapsed() > Duration::from_millis(500) {
            return now;
        }
        assert!(
            started.elapsed() < crate::support::DEADLINE,
            "never stalled: {now} bytes"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn download(way: &'static str, size: u64) {
    let (app, written) = source(way, size).await;
    let program = Program::start(app, protocol(way)).await;
    let before = program.memory("VmRSS");
    let mut download = Download::begin(&program, way).await;
    assert!(
        size > most_under_way(),
        "nothing to prove: this kernel takes it all"
    );
    // The reader rests: the app must come to a halt.
    let under_way = stalled(&written).await;
    println!(
        "{way} down: {} KiB written before the app blocked",
        under_way / 1024
    );
    assert!(
        under_way < most_under_way(),
        "{way}: {under_way} bytes are under way"
    );
    let mut checked = Checked::new();
    let mut room = vec![0; 256 * 1024];
    let started = Instant::now();
    while checked.received < size {
        download.read(&mut checked, &mut room).await;
    }
    println!("{way} down: {size} bytes in {:?}", started.elapsed());
    program.assert_flat(&format!("{way} down"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_rests_blocks_the_app_and_then_gets_everything() {
    for way in WAYS {
        download(way, 256 * MIB).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn four_gibibytes_leave_memory_flat() {
    for way in WAYS {
        download(way, 4096 * MIB).await;
    }
}

/// An app that reads nothing until told, then everything, and answers with the count.
async fn sink(way: &'static str, size: u64, go: Arc<tokio::sync::Notify>) -> SocketAddr {
    upstream(move |mut stream| {
        let go = Arc::clone(&go);
        async move {
            if way != "tcp" {
                let Ok(Some(_)) = read_head(&mut stream).await else {
                    return;
                };
            } else if stream.peek(&mut [0]).await.unwrap_or(0) == 0 {
                return;
            }
            go.notified().await;
            let mut checked = Checked::new();
            let mut room = vec![0; 256 * 1024];
            while checked.received < size {
                let count = stream.read(&mut room).await.unwrap();
                assert!(count > 0, "ended after {}", checked.received);
                checked.add(&room[..count]);
            }
            let text = checked.received.to_string();
            if way != "tcp" {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", text.len());
                stream.write_all(head.as_bytes()).await.unwrap();
            }
            stream.write_all(text.as_bytes()).await.unwrap();
        }
    })
    .await
}

/// Sends `size` bytes, counted as they leave; the answer's body.
async fn send(program: &Program, way: &str, size: u64, sent: Arc<AtomicU64>) -> Vec<u8> {
    let block = Bytes::from(block().to_vec());
    let pieces = (0..size)
        .step_by(block.len())
        .map(|at| block.slice(..block.len().min((size - at) as usize)));
    if way == "h2" {
        let stream = program.connect(&["h2"]).await;
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = h2_request("POST", "/")
            .header("content-length", size)
            .body(())
            .unwrap();
        let (response, mut stream) = client.send_request(request, false).unwrap();
        for piece in pieces {
            let length = piece.len() as u64;
            send_h2(&mut stream, piece, false).await.unwrap();
            sent.fetch_add(length, Ordering::Relaxed);
        }
        stream.send_data(Bytes::new(), true).unwrap();
        let mut body = within(response).await.unwrap().into_body();
        return within(body.data()).await.unwrap().unwrap().to_vec();
    }
    let mut stream = program.connect(&[]).await;
    if way == "h1" {
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {size}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
    }
    for piece in pieces {
        stream.write_all(&piece).await.unwrap();
        sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }
    stream.flush().await.unwrap();
    if way == "h1" {
        within(read_head(&mut stream)).await.unwrap().unwrap();
    }
    let mut answer = vec![0; size.to_string().len()];
    within(stream.read_exact(&mut answer)).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_reads_slowly_blocks_the_client_and_then_gets_everything() {
    const SIZE: u64 = 256 * MIB;
    assert!(
        SIZE > most_under_way(),
        "nothing to prove: this kernel takes it all"
    );
    for way in WAYS {
        let go = Arc::new(tokio::sync::Notify::new());
        let program =
            Arc::new(Program::start(sink(way, SIZE, Arc::clone(&go)).await, protocol(way)).await);
        let before = program.memory("VmRSS");
        let sent = Arc::new(AtomicU64::new(0));
        let upload = tokio::spawn({
            let (program, sent) = (Arc::clone(&program), Arc::clone(&sent));
            async move { send(&program, way, SIZE, sent).await }
        });
        let under_way = stalled(&sent).await;
        println!(
            "{way} up: {} KiB sent before the client blocked",
            under_way / 1024
        );
        assert!(
            under_way < most_under_way(),
            "{way}: {under_way} bytes are under way"
        );
        go.notify_one();
        let answer = tokio::time::timeout(4 * crate::support::DEADLINE, upload)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), SIZE.to_string());
        program.assert_flat(&format!("{way} up"), before);
    }
}
