//! Slow readers while the process drains: no response is cut while the exit code is 0.
//!
//! `HYBRIDGE_DRAINS` sets how many drains are made; `tests/torture/drains` makes a thousand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::client::TlsStream;

use super::frames::{self, DATA, END_STREAM, WINDOW_UPDATE, frame};
use crate::support::http::pattern;
use crate::support::process::Process;
use crate::support::{Setup, read_head, upstream, within};

/// How one reader behaves.
#[derive(Clone, Copy, Debug)]
struct Reader {
    version: Version,
    size: usize,
    /// Of the client's kernel.
    buffer: u32,
    /// Between two reads.
    pause: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Version {
    /// A request with `connection: close`, and bytes behind it that nobody reads.
    Http1Close,
    /// Requests one after the other without waiting.
    Http1Pipelined,
    /// Windows that grow as the client reads.
    Http2,
}

const VERSIONS: [Version; 3] = [Version::Http1Close, Version::Http1Pipelined, Version::Http2];

/// An upstream whose responses are as large as their path says.
async fn sized() -> SocketAddr {
    let content = Arc::new(pattern(4 * 1024 * 1024));
    upstream(move |mut stream| {
        let content = Arc::clone(&content);
        async move {
            while let Some(head) = read_head(&mut stream).await {
                let path = head.split(' ').nth(1).unwrap();
                let size: usize = path[1..].parse().unwrap_or(0);
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n");
                if stream.write_all(head.as_bytes()).await.is_err()
                    || stream.write_all(&content[..size]).await.is_err()
                {
                    return;
                }
            }
        }
    })
    .await
}

impl Reader {
    /// Any of many, by a number.
    fn number(seed: usize) -> Self {
        let pick = |salt: usize, choices: usize| {
            let mixed = (seed ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed >> 33) % choices
        };
        Self {
            version: VERSIONS[seed % VERSIONS.len()],
            size: 100_000 + pick(1, 2_400_000),
            buffer: 8192 << pick(2, 6),
            pause: Duration::from_millis(pick(3, 20) as u64),
        }
    }

    /// Reads one response to its end; what is missing of it.
    async fn read(self, address: SocketAddr, ca: Vec<u8>) -> Result<(), String> {
        let alpn = match self.version {
            Version::Http2 => "h2",
            _ => "http/1.1",
        };
        let mut stream = frames::connect(address, &ca, alpn, Some(self.buffer)).await;
        let got = match self.version {
            Version::Http2 => self.over_http2(&mut stream).await,
            Version::Http1Close => {
                let request = format!(
                    "GET /{} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
                    self.size
                );
                let behind = "x".repeat(30_000);
                Box::pin(self.over_http1(&mut stream, &(request + &behind))).await
            }
            Version::Http1Pipelined => {
                let request = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", self.size);
                Box::pin(self.over_http1(&mut stream, &request.repeat(3))).await
            }
        };
        match got {
            Ok(got) if got >= self.size => Ok(()),
            Ok(got) => Err(format!("{self:?}: ended after {got} bytes")),
            Err(error) => Err(format!("{self:?}: {error}")),
        }
    }

    /// Bytes of content of the first response.
    async fn over_http1(
        self,
        stream: &mut TlsStream<TcpStream>,
        requests: &str,
    ) -> std::io::Result<usize> {
        stream.write_all(requests.as_bytes()).await?;
        let mut seen = Vec::new();
        let mut begin = None;
        loop {
            let mut piece = [0; 16 * 1024];
            let count = stream.read(&mut piece).await?;
            seen.extend_from_slice(&piece[..count]);
            if begin.is_none() {
                begin = seen.windows(4).position(|w| w == b"\r\n\r\n");
            }
            let got = begin.map_or(0, |begin| seen.len() - begin - 4);
            if count == 0 || got >= self.size {
                return Ok(got);
            }
            sleep(self.pause).await;
        }
    }

    async fn over_http2(self, stream: &mut TlsStream<TcpStream>) -> std::io::Result<usize> {
        const WINDOW: u32 = 256 * 1024;
        frames::begin(stream, WINDOW, WINDOW).await;
        let path = format!("/{}", self.size);
        stream.write_all(&frames::get(1, &path)).await?;
        let (mut got, mut credit) = (0, 0);
        while let Some(next) = frames::next(stream).await? {
            if next.kind != DATA || next.stream != 1 {
                continue;
            }
            got += next.payload.len();
            credit += next.payload.len() as u32;
            if next.flags & END_STREAM != 0 {
                break;
            }
            if credit > WINDOW / 4 {
                let credit = std::mem::take(&mut credit).to_be_bytes();
                let updates = [
                    frame(WINDOW_UPDATE, 0, 0, &credit),
                    frame(WINDOW_UPDATE, 0, 1, &credit),
                ];
                stream.write_all(&updates.concat()).await?;
            }
            sleep(self.pause).await;
        }
        Ok(got)
    }
}

/// One drain with a few readers in the middle of a response; what was cut, and the exit code.
async fn drain(app: SocketAddr, seed: usize) -> (Vec<String>, Option<i32>) {
    let setup =
        Setup::in_front_of(app).process("workers = 1\n[drain]\ndelay = \"0s\"\ntimeout = \"15s\"");
    let process = Process::start(&setup).await;
    let readers: Vec<_> = (0..3)
        .map(|number| {
            let reader = Reader::number(3 * seed + number);
            tokio::spawn(reader.read(process.address, process.ca.clone()))
        })
        .collect();
    // All are being served; some may have everything by then.
    process
        .metric_reaches(
            "hybridge_payload_bytes_total",
            &[("direction", "out")],
            100_000.0,
        )
        .await;
    process
        .metric_reaches("hybridge_time_to_first_byte_seconds_count", &[], 3.0)
        .await;
    sleep(Duration::from_millis((seed * 37 % 150) as u64)).await;
    process.signal(Signal::TERM);
    let mut cut = Vec::new();
    for reader in readers {
        match timeout(Duration::from_mins(1), reader)
            .await
            .unwrap()
            .unwrap()
        {
            Ok(()) => {}
            Err(what) => cut.push(what),
        }
    }
    let (code, log) = process.ended().await;
    if !cut.is_empty() && code == Some(0) {
        println!("{log}");
    }
    (cut, code)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_slow_reader_is_cut_while_the_exit_code_is_0() {
    #[allow(clippy::disallowed_methods, reason = "a test's own switch")]
    let count = std::env::var("HYBRIDGE_DRAINS").map_or(4, |count| count.parse().unwrap());
    let app = sized().await;
    let mut drains = stream::iter(0..count)
        .map(|seed| drain(app, seed))
        .buffer_unordered(6);
    let (mut clean, mut told, mut silent) = (0, 0, Vec::new());
    while let Some(drain) = drains.next().await {
        match drain {
            (cut, Some(0)) if cut.is_empty() => clean += 1,
            (cut, Some(0)) => silent.extend(cut),
            (cut, code) => {
                println!("exit code {code:?}: {cut:?}");
                told += 1;
            }
        }
    }
    println!("{count} drains of 3 readers: {clean} clean, {told} told by the exit code");
    assert!(silent.is_empty(), "cut without a word: {silent:#?}");
    // Every reader here is fast enough for the drain's timeout.
    assert_eq!(clean, count);
}

/// The kernel holds the rest of the response: written is not delivered.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_is_told_by_the_exit_code() {
    let app = sized().await;
    for alpn in ["http/1.1", "h2"] {
        let setup = Setup::in_front_of(app)
            .process("workers = 1\n[drain]\ndelay = \"0s\"\ntimeout = \"2s\"");
        let process = Process::start(&setup).await;
        let mut stream = frames::connect(process.address, &process.ca, alpn, Some(8192)).await;
        if alpn == "h2" {
            frames::begin(&mut stream, 1 << 20, 1 << 20).await;
            stream.write_all(&frames::get(1, "/600000")).await.unwrap();
        } else {
            let request = b"GET /600000 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
            stream.write_all(request).await.unwrap();
        }
        process
            .metric_reaches(
                "hybridge_payload_bytes_total",
                &[("direction", "out")],
                600_000.0,
            )
            .await;
        process.signal(Signal::TERM);
        let (code, log) = process.ended().await;
        assert_eq!(code, Some(1), "{alpn}: {log}");
        assert!(log.contains("1 connection was cut"), "{alpn}: {log}");
    }
}

/// A client that does not close is not waited for once it has everything and says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_everything_holds_no_drain_up() {
    let app = sized().await;
    let setup =
        Setup::in_front_of(app).process("workers = 1\n[drain]\ndelay = \"0s\"\ntimeout = \"1h\"");
    let process = Process::start(&setup).await;
    let mut stream = frames::connect(process.address, &process.ca, "http/1.1", None).await;
    stream
        .write_all(b"GET /5 HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    within(stream.read_u8()).await.unwrap();
    process.signal(Signal::TERM);
    assert_eq!(process.ended().await.0, Some(0));
}

/// RFC 9112 §9.6: unread bytes of the client must not make a reset of the end.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_behind_the_last_request_take_nothing_of_its_response() {
    let sidecar = Setup::in_front_of(sized().await).start();
    let address = sidecar.address;
    let mut stream = frames::connect(address, &sidecar.ca, "http/1.1", Some(16 * 1024)).await;
    let request = b"GET /1500000 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    stream.write_all(&vec![b'x'; 200 * 1024]).await.unwrap();
    sleep(Duration::from_millis(300)).await;
    // And some when the response has left for the kernel.
    stream.write_all(&[b'x'; 1024]).await.unwrap();
    let mut seen = Vec::new();
    within(stream.read_to_end(&mut seen)).await.unwrap();
    let begin = seen.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    assert!(seen[begin..] == pattern(1_500_000), "{} bytes", seen.len());
}
