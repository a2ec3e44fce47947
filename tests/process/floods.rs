//! The known HTTP/2 floods: frames by hand, as no library would send them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::http::{counted_app, ok};
use crate::support::process::Process;
use crate::support::program::Program;
use crate::support::{Setup, within};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt, WriteHalf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
const ENHANCE_YOUR_CALM: u32 = 0xb;
/// `GET https://a/` in HPACK.
const GET: &[u8] = b"\x82\x87\x84\x41\x01a";
/// `POST https://a/`.
pub(super) const POST: &[u8] = b"\x83\x87\x84\x41\x01a";

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

type Sending = WriteHalf<TlsStream<TcpStream>>;

/// A connection after its preface; the reading half looks for a GOAWAY and gives its reason, or
/// `None` when the connection ends without.
async fn begin(program: &Program) -> (Sending, JoinHandle<Option<u32>>) {
    let (mut reader, mut writer) = tokio::io::split(program.connect(&["h2"]).await);
    writer
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    writer.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    let reading = tokio::spawn(async move {
        let mut reason = None;
        loop {
            let mut head = [0; 9];
            if reader.read_exact(&mut head).await.is_err() {
                return reason;
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let mut payload = vec![0; length];
            if reader.read_exact(&mut payload).await.is_err() {
                return reason;
            }
            if head[3] == GOAWAY {
                reason = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
        }
    });
    (writer, reading)
}

/// Sends until the other end has had enough, or stops taking; how much that was.
async fn flood(
    writer: &mut Sending,
    limit: usize,
    mut next: impl FnMut(usize) -> Vec<u8>,
) -> usize {
    let mut sent = 0;
    for number in 0.. {
        let piece = next(number);
        sent += piece.len();
        let writing = tokio::time::timeout(Duration::from_secs(2), writer.write_all(&piece));
        if sent >= limit || !matches!(writing.await, Ok(Ok(()))) {
            break;
        }
    }
    let _ = tokio::time::timeout(Duration::from_secs(2), writer.flush()).await;
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn rapid_resets_end_the_connection_and_spare_the_app() {
    const STREAMS: usize = 10_000;
    let (app, connections) = counted_app(|_| async { ok("") }).await;
    let program = Program::start(app, "http").await;
    let before = program.memory("VmRSS");
    let (mut writer, reading) = begin(&program).await;
    flood(&mut writer, usize::MAX, |number| {
        let mut both = Vec::new();
        // Many in one write, as an attacker would.
        for at in 0..50 {
            let stream = (number * 50 + at) as u32 * 2 + 1;
            both.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, GET));
            both.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        }
        both
    })
    .await;
    assert_eq!(within(reading).await.unwrap(), Some(ENHANCE_YOUR_CALM));
    let reached = connections.load(Ordering::SeqCst);
    println!("{reached} of them reached the app");
    assert!(reached < STREAMS / 20, "{reached} reached the app");
    program.assert_flat("rapid resets", before);
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_continuations_end_the_connection() {
    let (app, connections) = counted_app(|_| async { ok("") }).await;
    let program = Program::start(app, "http").await;
    let before = program.memory("VmRSS");
    for payload in [&[][..], &[0_u8; 16 * 1024]] {
        let (mut writer, reading) = begin(&program).await;
        writer
            .write_all(&frame(HEADERS, END_STREAM, 1, GET))
            .await
            .unwrap();
        // A literal field without end, or nothing at all.
        let sent = flood(&mut writer, 256 << 20, |_| {
            frame(CONTINUATION, 0, 1, payload)
        })
        .await;
        println!("{} KiB of CONTINUATION were taken", sent / 1024);
        assert!(sent < 32 << 20, "{sent} bytes were taken");
        within(reading).await.unwrap();
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
    program.assert_flat("continuations", before);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_and_pings_that_nobody_reads_the_answers_of_leave_memory_flat() {
    let (app, _) = counted_app(|_| async { ok("") }).await;
    let program = Program::start(app, "http").await;
    let before = program.memory("VmRSS");
    for (what, piece) in [
        ("settings", frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9])),
        ("pings", frame(PING, 0, 0, &[7; 8])),
    ] {
        let mut stream = program.connect(&["h2"]).await;
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        let (_unread, mut writer) = tokio::io::split(stream);
        let many = piece.repeat(1000);
        let sent = flood(&mut writer, 64 << 20, |_| many.clone()).await;
        println!("{} KiB of {what} were taken", sent / 1024);
        program.assert_flat(what, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_data_frames_end_the_connection() {
    let (app, _) = counted_app(|_| async { ok("") }).await;
    let program = Program::start(app, "http").await;
    let (mut writer, reading) = begin(&program).await;
    writer
        .write_all(&frame(HEADERS, END_HEADERS, 1, POST))
        .await
        .unwrap();
    flood(&mut writer, 64 << 20, |_| {
        frame(DATA, 0, 1, &[]).repeat(100)
    })
    .await;
    assert_eq!(within(reading).await.unwrap(), Some(ENHANCE_YOUR_CALM));
}

/// What the libraries say of a stranger's frames and records has no limit, so nothing of it is in the log.
#[tokio::test(flavor = "multi_thread")]
async fn frames_and_records_of_strangers_do_not_fill_the_log() {
    const HELLOS: usize = 10;
    let (app, _) = counted_app(|_| async { ok("") }).await;
    let drain = "[drain]\ndelay = \"0s\"\ntimeout = \"1s\"";
    let process = Process::start(&Setup::in_front_of(app).process(drain)).await;
    let mut client = process.connect(&["h2"]).await;
    client
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    client.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    // Acknowledged, though none was sent.
    let many = frame(PING, ACK, 0, &[7; 8]).repeat(1000);
    for _ in 0..20 {
        within(client.write_all(&many)).await.unwrap();
    }
    for _ in 0..HELLOS {
        let mut client = TcpStream::connect(process.address).await.unwrap();
        // A Finished before any hello.
        let finished = [0x16, 3, 3, 0, 4, 20, 0, 0, 0];
        client.write_all(&finished).await.unwrap();
        let _ = within(client.read_to_end(&mut Vec::new())).await;
    }
    client
        .write_all(&frame(HEADERS, END_STREAM | END_HEADERS, 1, GET))
        .await
        .unwrap();
    process.signal(Signal::TERM);
    let (_, log) = process.ended().await;
    let lines = log.lines().count();
    assert!(lines <= HELLOS + 30, "{lines} lines: {log:.2000}");
}
