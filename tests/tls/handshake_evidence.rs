//! What a handshake cost and what was said in it: the metrics against what OpenSSL counted itself.

use std::time::Duration;

use crate::support::openssl::Client;
use crate::support::{Setup, Sidecar, answering};

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const COMPLETED: &str = "hybridge_handshakes_total";
const RETRIES: &str = "hybridge_hello_retry_requests_total";
const BYTES: &str = "hybridge_handshake_bytes_sum";

/// Header, content type and tag around the plaintext of a TLS 1.3 record (RFC 8446 §5.2).
const RECORD_OVERHEAD: u64 = 5 + 1 + 16;
/// A warning or fatal alert of two bytes in a record.
const ALERT: u64 = RECORD_OVERHEAD + 2;

async fn sidecar(tls: &str) -> Sidecar {
    Setup::in_front_of(answering(EMPTY).await).tls(tls).start()
}

/// Both sides' counts of one connection that says nothing after its handshake.
async fn counts_agree(sidecar: &Sidecar, client: &Client, kind: &str) {
    let before = Bytes::of(sidecar, kind).await;
    let connected = client.connect(sidecar.address).await.unwrap();
    let sent_in_handshake = connected.written();
    let finished = connected.finish(b"").await;
    closed(sidecar, before.closed + 1.0).await;
    let after = Bytes::of(sidecar, kind).await;
    assert_eq!(after.handshake_in - before.handshake_in, sent_in_handshake);
    // All that the server sends beyond its handshake and the tickets is its close_notify.
    assert_eq!(
        after.handshake_out - before.handshake_out,
        finished.read - ALERT
    );
    assert_eq!(after.wire_out - before.wire_out, ALERT);
    assert_eq!(after.wire_in - before.wire_in, ALERT);
    assert_eq!(finished.written, sent_in_handshake + ALERT);
}

async fn closed(sidecar: &Sidecar, count: f64) {
    sidecar
        .metric_reaches("hybridge_connections_total", &[], count)
        .await;
}

struct Bytes {
    closed: f64,
    handshake_in: u64,
    handshake_out: u64,
    wire_in: u64,
    wire_out: u64,
    payload_in: u64,
    payload_out: u64,
}

impl Bytes {
    async fn of(sidecar: &Sidecar, kind: &str) -> Self {
        let sum = async |name: &str, direction: &str| {
            let labels = [("direction", direction)];
            sidecar.metric(name, &labels).await as u64
        };
        let handshake = async |direction: &str| {
            let labels = [("direction", direction), ("kind", kind)];
            sidecar.metric(BYTES, &labels).await as u64
        };
        Self {
            closed: sidecar.metric("hybridge_connections_total", &[]).await,
            handshake_in: handshake("in").await,
            handshake_out: handshake("out").await,
            wire_in: sum("hybridge_wire_bytes_total", "in").await,
            wire_out: sum("hybridge_wire_bytes_total", "out").await,
            payload_in: sum("hybridge_payload_bytes_total", "in").await,
            payload_out: sum("hybridge_payload_bytes_total", "out").await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_a_full_handshake_are_those_openssl_counts() {
    for tickets in [0, 1, 3] {
        let sidecar = sidecar(&format!("tickets = {tickets}")).await;
        for groups in ["X25519", "X25519MLKEM768", "SecP384r1MLKEM1024", "P-256"] {
            counts_agree(&sidecar, &Client::new().groups(groups), "full").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_a_retried_handshake_are_those_openssl_counts() {
    let sidecar = sidecar("").await;
    counts_agree(
        &sidecar,
        &Client::new().groups("X25519:X25519MLKEM768"),
        "hrr",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_a_resumed_handshake_are_those_openssl_counts() {
    let sidecar = sidecar("").await;
    let client = Client::new();
    let first = client.connect(sidecar.address).await.unwrap();
    let session = first.finish(b"").await.sessions.remove(0);
    counts_agree(&sidecar, &client.resuming(&session), "resumed").await;
}

/// Without tickets the handshake ends with the client's Finished, and with it what is counted.
#[tokio::test(flavor = "multi_thread")]
async fn tickets_are_counted_and_are_the_only_difference() {
    let (without, with) = (sidecar("tickets = 0").await, sidecar("tickets = 2").await);
    let client = Client::new();
    let connected = client.connect(without.address).await.unwrap();
    let handshake = connected.read();
    assert!(connected.finish(b"").await.sessions.is_empty());
    closed(&without, 1.0).await;
    assert_eq!(Bytes::of(&without, "full").await.handshake_out, handshake);

    let connected = client.connect(with.address).await.unwrap();
    let handshake = connected.read();
    let finished = connected.finish(b"").await;
    assert_eq!(finished.sessions.len(), 2);
    closed(&with, 1.0).await;
    let counted = Bytes::of(&with, "full").await.handshake_out;
    assert_eq!(counted, finished.read - ALERT);
    assert!(counted > handshake, "{counted} with tickets, {handshake}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_or_fragmented_hello_is_counted_the_same_way() {
    let sidecar = sidecar("").await;
    let client = Client::new();
    counts_agree(&sidecar, &client.clone().byte_by_byte(), "full").await;
    counts_agree(&sidecar, &client.clone().fragments(512), "full").await;
    let both = client.groups("X25519:SecP384r1MLKEM1024").fragments(512);
    counts_agree(&sidecar, &both.byte_by_byte(), "hrr").await;
}

/// A request in the segment of the Finished is data, and wire minus payload is what records add.
#[tokio::test(flavor = "multi_thread")]
async fn data_that_rides_along_is_no_part_of_the_handshake() {
    let sidecar = sidecar("").await;
    let (handshake, total) = corked_request(&sidecar).await;
    closed(&sidecar, 1.0).await;
    let bytes = Bytes::of(&sidecar, "full").await;
    assert_eq!(bytes.handshake_in, handshake);
    assert_eq!(bytes.wire_in, total - handshake);
    assert_eq!(bytes.payload_in, REQUEST.len() as u64);
    // One record with the request, one with the close_notify.
    let overhead = bytes.wire_in - bytes.payload_in;
    assert_eq!(overhead, RECORD_OVERHEAD + ALERT);
}

/// A rustls client that holds its Finished back until the request can go with it: bytes of the
/// handshake, and of everything.
async fn corked_request(sidecar: &Sidecar) -> (u64, u64) {
    use rustls::ClientConnection;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let config = crate::support::client_config(&sidecar.ca, &["http/1.1"]);
    let name = "localhost".try_into().unwrap();
    let mut client = ClientConnection::new(config.into(), name).unwrap();
    let mut socket = tokio::net::TcpStream::connect(sidecar.address)
        .await
        .unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    socket.write_all(&hello).await.unwrap();
    while client.is_handshaking() {
        let mut received = [0; 4096];
        let count = crate::support::within(socket.read(&mut received))
            .await
            .unwrap();
        client.read_tls(&mut &received[..count]).unwrap();
        client.process_new_packets().unwrap();
    }
    let mut segment = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut segment).unwrap();
    }
    let handshake = hello.len() + segment.len();
    std::io::Write::write_all(&mut client.writer(), REQUEST).unwrap();
    client.send_close_notify();
    while client.wants_write() {
        client.write_tls(&mut segment).unwrap();
    }
    socket.write_all(&segment).await.unwrap();
    let mut answer = Vec::new();
    crate::support::within(socket.read_to_end(&mut answer))
        .await
        .unwrap();
    (handshake as u64, (hello.len() + segment.len()) as u64)
}

/// The answer of a few bytes fits one record; 100 000 bytes take what OpenSSL counts.
#[tokio::test(flavor = "multi_thread")]
async fn wire_minus_payload_is_record_overhead_exactly() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n";
    let long = [&head[..], &vec![b'x'; 100_000]].concat().leak();
    let sidecar = Setup::in_front_of(answering(long).await).start();
    let connected = Client::new().connect(sidecar.address).await.unwrap();
    let sent_in_handshake = connected.written();
    let finished = connected.finish(REQUEST).await;
    closed(&sidecar, 1.0).await;
    let bytes = Bytes::of(&sidecar, "full").await;
    assert_eq!(bytes.payload_out, finished.answer.len() as u64);
    assert_eq!(bytes.payload_in, REQUEST.len() as u64);
    // The client's own close_notify answers that of the server, which may have gone by then.
    let after_handshake = finished.written - sent_in_handshake;
    assert!(
        [after_handshake, after_handshake - ALERT].contains(&bytes.wire_in),
        "{} of {after_handshake}",
        bytes.wire_in
    );
    assert_eq!(bytes.wire_out, finished.read - bytes.handshake_out);
    assert!(finished.answer.starts_with(b"HTTP/1.1 200 "));
    let overhead = bytes.wire_out - bytes.payload_out - ALERT;
    assert_eq!(overhead % RECORD_OVERHEAD, 0, "{overhead}");
    let records = overhead / RECORD_OVERHEAD;
    assert!((7..=16).contains(&records), "{records} of up to 16 KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_handshake_is_counted_as_resumed_with_its_own_group() {
    let sidecar = sidecar("").await;
    let client = Client::new().groups("X25519MLKEM768:X25519");
    let first = client.connect(sidecar.address).await.unwrap();
    let sessions = first.finish(b"").await.sessions;
    assert_eq!(sessions.len(), 1, "one ticket by default");
    let again = client.resuming(&sessions[0]).connect(sidecar.address).await;
    assert!(again.unwrap().is_resumed());
    let labels = [("group", "X25519MLKEM768"), ("kind", "resumed")];
    sidecar.metric_reaches(COMPLETED, &labels, 1.0).await;
    let exchanges = [("group", "X25519MLKEM768")];
    let exchanges = sidecar
        .metric("hybridge_key_exchange_seconds_count", &exchanges)
        .await;
    assert_eq!(exchanges, 2.0, "a resumption exchanges keys anew");
    assert_eq!(sidecar.metric(RETRIES, &[]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumption_after_a_retry_shows_in_both_counters() {
    let sidecar = sidecar("").await;
    let client = Client::new().groups("X25519:X25519MLKEM768");
    let first = client.connect(sidecar.address).await.unwrap();
    let sessions = first.finish(b"").await.sessions;
    sidecar
        .metric_reaches(COMPLETED, &[("kind", "hrr")], 1.0)
        .await;
    let again = client.resuming(&sessions[0]).connect(sidecar.address).await;
    assert!(again.unwrap().is_resumed());
    let resumed = [("group", "X25519MLKEM768"), ("kind", "resumed")];
    sidecar.metric_reaches(COMPLETED, &resumed, 1.0).await;
    let asked_for = [("group", "X25519MLKEM768")];
    assert_eq!(sidecar.metric(RETRIES, &asked_for).await, 2.0);
}

/// A ticket does not carry the policy past: the exchange of a resumption is decided anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_made_with_a_hybrid_group_cannot_be_resumed_without_one() {
    let sidecar = sidecar("policy = \"hybrid-required\"").await;
    let first = Client::new().connect(sidecar.address).await.unwrap();
    let sessions = first.finish(b"").await.sessions;
    let retried = Client::new()
        .groups("X25519:X25519MLKEM768")
        .resuming(&sessions[0]);
    let resumed = retried.connect(sidecar.address).await.unwrap();
    assert!(resumed.is_resumed());
    assert_eq!(resumed.group(), "X25519MLKEM768");
    let classical = Client::new().groups("X25519").resuming(&sessions[0]);
    let refused = classical.connect(sidecar.address).await.unwrap_err();
    assert_eq!(refused.alert, Some(40), "{refused:?}");
}

/// Tickets are a listener's own: another listener of the process makes a full handshake of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_of_one_listener_resumes_nothing_on_another() {
    let app = answering(EMPTY).await;
    let setup = Setup::in_front_of(app)
        .tls("policy = \"classical-only\"")
        .second_listener("policy = \"hybrid-required\"");
    let sidecar = setup.start();
    let first = Client::new().connect(sidecar.address).await.unwrap();
    let sessions = first.finish(b"").await.sessions;
    assert_eq!(sessions.len(), 1);
    let other = sidecar.running.as_ref().unwrap().addresses("second")[0];
    let client = Client::new().resuming(&sessions[0]);
    let connected = client.connect(other).await.unwrap();
    assert!(!connected.is_resumed());
    assert_eq!(connected.group(), "X25519MLKEM768");
    let refused = client.groups("X25519").connect(other).await.unwrap_err();
    assert_eq!(refused.alert, Some(40), "{refused:?}");
    let labels = [("listener", "second"), ("kind", "full")];
    sidecar.metric_reaches(COMPLETED, &labels, 1.0).await;
    assert_eq!(sidecar.metric(COMPLETED, &[("kind", "resumed")]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_allows_no_early_data() {
    let sidecar = sidecar("").await;
    let first = Client::new().connect(sidecar.address).await.unwrap();
    let sessions = first.finish(b"").await.sessions;
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0].max_early_data(), 0);
}

/// What the clock counts, not how fast it is: silence before the hello is no part of a handshake.
#[tokio::test(flavor = "multi_thread")]
async fn the_duration_begins_with_the_first_byte_and_holds_the_computing() {
    let sidecar = sidecar("").await;
    let silence = Duration::from_millis(500);
    let socket = std::net::TcpStream::connect(sidecar.address).unwrap();
    let open = "hybridge_connections_open";
    sidecar.metric_reaches(open, &[], 1.0).await;
    tokio::time::sleep(silence).await;
    Client::new().connect_over(socket).await.unwrap();
    sidecar.metric_reaches(COMPLETED, &[], 1.0).await;
    let sum = async |name: &str| {
        let name = format!("hybridge_{name}_seconds_sum");
        sidecar.metric(&name, &[]).await
    };
    let (duration, compute) = (
        sum("handshake_duration").await,
        sum("handshake_compute").await,
    );
    let exchange = sum("key_exchange").await;
    assert!(duration < silence.as_secs_f64(), "{duration} s");
    assert!(compute < duration, "{compute} of {duration} s");
    assert!(exchange < compute, "{exchange} of {compute} s");
    assert!(exchange > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_histogram_has_one_observation_a_handshake() {
    let sidecar = sidecar("").await;
    let client = Client::new().byte_by_byte();
    client.connect(sidecar.address).await.unwrap();
    sidecar.metric_reaches(COMPLETED, &[], 1.0).await;
    for family in ["handshake_duration", "handshake_compute", "key_exchange"] {
        let name = format!("hybridge_{family}_seconds_count");
        let labels = [("group", "X25519MLKEM768")];
        assert_eq!(sidecar.metric(&name, &labels).await, 1.0, "{family}");
    }
}
