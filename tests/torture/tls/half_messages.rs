//! Errors behind a message that has begun, and several messages in one record (RFC 8446 §5.1): states
//! in which the deframer holds more than it has handed out.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::process::Process;
use crate::support::{Setup, answering, hello, within};

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

const UNEXPECTED_MESSAGE: u8 = 10;
const RECORD_OVERFLOW: u8 = 22;
const HANDSHAKE_FAILURE: u8 = 40;
const DECODE_ERROR: u8 = 50;

/// What is sent, and the alert and the reason that it ends with.
struct Case {
    name: &'static str,
    sent: Vec<u8>,
    alert: u8,
    reason: &'static str,
}

fn case(name: &'static str, sent: impl Into<Vec<u8>>, alert: u8, reason: &'static str) -> Case {
    let sent = sent.into();
    Case {
        name,
        sent,
        alert,
        reason,
    }
}

fn record(content_type: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[content_type, 3, 1], &length[..], content].concat()
}

/// The message of a hello, over as many records as it is cut into.
fn in_records(message: &[u8], size: usize) -> Vec<u8> {
    message
        .chunks(size)
        .flat_map(|part| record(22, part))
        .collect()
}

/// Behind one byte of a ClientHello.
fn begun(then: &[u8]) -> Vec<u8> {
    [&record(22, &[1])[..], then].concat()
}

fn behind_a_beginning() -> Vec<Case> {
    let misbehaved = |name, then: &[u8]| case(name, begun(then), UNEXPECTED_MESSAGE, "misbehaved");
    vec![
        misbehaved("data", &record(23, b"x")),
        misbehaved("no data", &record(23, &[])),
        misbehaved("a warning", &record(21, &[1, 90])),
        misbehaved("a fatal alert", &record(21, &[2, 0])),
        misbehaved("an empty fragment", &record(22, &[])),
        misbehaved("a change of cipher", &record(20, &[1])),
        case("no record", begun(&[99, 3, 3, 0]), DECODE_ERROR, "not_tls"),
        case(
            "a record too long",
            begun(&[22, 3, 3, 0xff, 0xff, 0]),
            RECORD_OVERFLOW,
            "malformed",
        ),
    ]
}

fn lengths() -> Vec<Case> {
    // A message of 65,536 bytes, of which none has come.
    let too_long = record(22, &[1, 1, 0, 0]);
    // A whole hello of that size: a real one with the rest as one extension.
    let real = hello::hybrid();
    let padded = hello::padded(&real, 66_000);
    vec![
        case("64 KiB announced", too_long, DECODE_ERROR, "malformed"),
        case(
            "64 KiB sent",
            in_records(&padded, 16_384),
            DECODE_ERROR,
            "malformed",
        ),
        case(
            "two empty hellos",
            record(22, &[1, 0, 0, 0, 1, 0, 0, 0]),
            DECODE_ERROR,
            "malformed",
        ),
    ]
}

/// A hello with something behind it in its record: the keys change between the two.
fn behind_a_hello() -> Vec<Case> {
    let hello = hello::hybrid();
    let message = &hello[5..];
    let finished = [&[20, 0, 0, 32][..], &[7; 32]].concat();
    [
        ("a second hello", message.to_vec()),
        ("a key update", vec![24, 0, 0, 1, 0]),
        ("a Finished", finished.clone()),
        ("half a Finished", finished[..7].to_vec()),
        ("one byte", vec![20]),
    ]
    .into_iter()
    .map(|(name, behind)| {
        let sent = record(22, &[message, &behind].concat());
        case(name, sent, UNEXPECTED_MESSAGE, "misbehaved")
    })
    .collect()
}

/// A hello that the policy refuses, in one record and in more, with and without something behind it.
fn refused() -> Vec<Case> {
    let hello = hello::classical();
    let message = &hello[5..];
    let refused = |name, sent: Vec<u8>| case(name, sent, HANDSHAKE_FAILURE, "no_common_group");
    vec![
        refused("one record", hello.clone()),
        refused("two records", in_records(message, 100)),
        refused("a byte a record", in_records(message, 1)),
        case(
            "followed by half a message",
            record(22, &[message, &[1, 0, 9, 9, 9]].concat()),
            UNEXPECTED_MESSAGE,
            "misbehaved",
        ),
        refused(
            "followed by half a record",
            [&hello[..], &[22, 3, 3, 0, 50, 20]].concat(),
        ),
    ]
}

/// Sends each case to a process of its own kind, and looks at wire, metrics and log.
async fn each_ends_with_its_alert(cases: Vec<Case>) {
    let setup = Setup::in_front_of(answering(EMPTY).await).tls("policy = \"hybrid-required\"");
    let process = Process::start(&setup).await;
    for (count, case) in (1_u32..).zip(&cases) {
        let mut stream = TcpStream::connect(process.address).await.unwrap();
        let client = stream.local_addr().unwrap();
        stream.write_all(&case.sent).await.unwrap();
        let mut answer = Vec::new();
        let _ = within(stream.read_to_end(&mut answer)).await;
        assert_eq!(answer, hello::alert(case.alert), "{}", case.name);
        let failures = "hybridge_handshake_failures_total";
        process
            .metric_reaches(failures, &[], f64::from(count))
            .await;
        process.logs(&format!("client={client} ")).await;
        let log = process.log();
        let line = log
            .lines()
            .find(|line| line.contains(&format!("client={client}")))
            .unwrap_or_else(|| panic!("{}: not in the log: {log}", case.name));
        let reason = format!("reason=\"{}\"", case.reason);
        assert!(line.contains(&reason), "{}: {line}", case.name);
    }
    let log = process.log();
    assert!(!log.contains("panic"), "{log}");
    let closed = [("outcome", "handshake_failed")];
    let all = f64::from(u32::try_from(cases.len()).unwrap());
    process
        .metric_reaches("hybridge_connections_total", &closed, all)
        .await;
    process
        .metric_is("hybridge_connections_open", &[], 0.0)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_behind_half_a_message_is_an_alert_and_a_count() {
    each_ends_with_its_alert(behind_a_beginning()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_beyond_64_kib_is_an_alert_and_a_count() {
    each_ends_with_its_alert(lengths()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_shares_a_record_with_a_hello_is_an_alert_and_a_count() {
    each_ends_with_its_alert(behind_a_hello()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_hello_is_an_alert_and_a_count_however_it_is_cut() {
    each_ends_with_its_alert(refused()).await;
}
