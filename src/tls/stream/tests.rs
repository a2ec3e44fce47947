//! Against a rustls client in memory: the keys change, streams end and break as the RFC says.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod server;

use std::sync::Arc;

use prometheus::IntCounter;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::{TlsConnector, client};

use self::server::server_and_root;
use super::*;
use crate::io::{ByteSource, TrafficCounters};
use crate::tls::handshake;
use crate::tls::protection::tests::sealed;
use crate::tls::record::RECORD_HEADER;

/// Has just room for the tickets, which no client reads before it reads data.
const SMALL_PIPE: usize = 2_500;

type Ours = TlsStream<DuplexStream>;
type Theirs = client::TlsStream<DuplexStream>;

/// Both ends of a connection through a pipe of `room` bytes.
async fn established(room: usize) -> (Ours, Theirs) {
    let (server, root) = server_and_root();
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls_post_quantum::provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(crate::tls::policy::VERSIONS)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.enable_secret_extraction = true;
    let (near, far) = duplex(room);
    let counter = || IntCounter::new("bytes", "bytes").unwrap();
    let counters = TrafficCounters {
        wire_in: counter(),
        wire_out: counter(),
        payload_in: counter(),
        payload_out: counter(),
    };
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    let queue = server.queue(1, Arc::new(|| {}));
    let (accepted, connected) = tokio::join!(
        handshake::accept(
            far,
            handshake::Client::new([127, 0, 0, 1].into()),
            &server,
            &queue,
            counters
        ),
        connector.connect(name, near)
    );
    (accepted.expect("accepted").0, connected.unwrap())
}

/// Sends `content` back and forth, and reads it on both sides.
async fn echo(ours: &mut Ours, theirs: &mut Theirs, content: &[u8]) {
    let mut received = vec![0; content.len()];
    theirs.write_all(content).await.unwrap();
    theirs.flush().await.unwrap();
    ours.read_exact(&mut received).await.unwrap();
    assert_eq!(received, content);
    received.fill(0);
    ours.write_all(content).await.unwrap();
    ours.flush().await.unwrap();
    theirs.read_exact(&mut received).await.unwrap();
    assert_eq!(received, content);
}

#[tokio::test]
async fn keys_are_replaced_when_the_client_asks_and_data_goes_on() {
    let (mut ours, mut theirs) = established(1 << 16).await;
    for round in 0..40_u8 {
        theirs.get_mut().1.refresh_traffic_keys().unwrap();
        echo(&mut ours, &mut theirs, &[round; 100]).await;
    }
    assert_eq!(ours.keys.opener.sequence(), 1, "records under the last key");
    assert_eq!(ours.keys.sealer.sequence(), 1);
}

#[tokio::test]
async fn our_key_is_replaced_at_its_limit() {
    let (mut ours, mut theirs) = established(1 << 16).await;
    ours.keys.limit = 5;
    for round in 0..50_u8 {
        echo(&mut ours, &mut theirs, &[round; 10]).await;
        assert!(ours.keys.sealer.sequence() <= 5);
    }
}

#[tokio::test]
async fn requests_for_new_keys_that_nobody_reads_the_answers_of_hold_no_memory() {
    let (mut ours, mut theirs) = established(SMALL_PIPE).await;
    // Fill the pipe towards the client, so that nothing more can leave.
    let flood = vec![7; 40_000];
    let stuck = std::future::poll_fn(|cx| {
        Poll::Ready(Pin::new(&mut ours).poll_write(cx, &flood).is_ready())
    });
    assert!(stuck.await);
    let before = ours.unsent.len();
    assert!(before > 0, "the pipe holds it all");
    for _ in 0..100 {
        theirs.get_mut().1.refresh_traffic_keys().unwrap();
        theirs.write_all(b"x").await.unwrap();
        theirs.flush().await.unwrap();
        let mut byte = [0];
        ours.read_exact(&mut byte).await.unwrap();
    }
    assert!(ours.update_asked);
    assert!(ours.unsent.len() <= before);
}

#[tokio::test]
async fn content_of_any_size_arrives_through_a_pipe_of_any_size() {
    let content: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    for room in [SMALL_PIPE, 16_406, 70_000] {
        let (mut ours, mut theirs) = established(room).await;
        let sending = async {
            ours.write_all(&content).await.unwrap();
            ours.shutdown().await.unwrap();
        };
        let mut received = Vec::new();
        let ((), read) = tokio::join!(sending, theirs.read_to_end(&mut received));
        read.unwrap();
        assert!(received == content, "down, {room}");
        let sending = async {
            theirs.write_all(&content).await.unwrap();
            theirs.shutdown().await.unwrap();
        };
        let mut received = BytesMut::new();
        let receiving = async {
            while std::future::poll_fn(|cx| ours.poll_append(cx, &mut received))
                .await
                .unwrap()
                > 0
            {}
        };
        tokio::join!(sending, receiving);
        assert!(received == content, "up, {room}");
        let totals = ours.traffic().totals();
        assert_eq!(totals.payload_in, content.len() as u64);
        assert_eq!(totals.payload_out, content.len() as u64);
        assert!(totals.wire_in > totals.payload_in);
    }
}

#[tokio::test]
async fn small_reads_get_every_byte_in_order() {
    let (mut ours, mut theirs) = established(1 << 16).await;
    let content: Vec<u8> = (0..40_000_u32).map(|n| (n % 251) as u8).collect();
    let sending = async {
        theirs.write_all(&content).await.unwrap();
        theirs.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    let receiving = async {
        let mut some = [0; 7];
        loop {
            match ours.read(&mut some).await.unwrap() {
                0 => break,
                count => received.extend_from_slice(&some[..count]),
            }
        }
    };
    tokio::join!(sending, receiving);
    assert!(received == content);
}

#[tokio::test]
async fn an_idle_connection_holds_no_buffer() {
    let (mut ours, mut theirs) = established(1 << 16).await;
    echo(&mut ours, &mut theirs, &vec![3; 50_000]).await;
    assert_eq!(ours.pending.capacity(), 0);
    assert_eq!(ours.plaintext.capacity(), 0);
    assert_eq!(ours.unsent.capacity(), 0);
}

#[tokio::test]
async fn an_end_without_close_notify_is_no_end() {
    let (mut ours, theirs) = established(1 << 16).await;
    drop(theirs.into_inner().0);
    let error = ours.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    let (mut ours, mut theirs) = established(1 << 16).await;
    theirs.shutdown().await.unwrap();
    let ended = ours.read(&mut [0; 8]).await.unwrap();
    assert_eq!(ended, 0, "with close_notify it is one");
}

/// A client that sends records of its choice.
struct Hostile {
    io: DuplexStream,
    sealer: Keys,
    opener: Keys,
}

async fn hostile() -> (Ours, Hostile) {
    let (ours, theirs) = established(1 << 18).await;
    let (mut io, conn) = theirs.into_inner();
    let secrets = conn.dangerous_extract_secrets().unwrap();
    // Tickets come first: as many records as have been sealed so far.
    let mut opener = Keys::new(secrets.rx).unwrap();
    for _ in opener.sequence()..ours.keys.sealer.sequence() {
        let mut ticket = read_record(&mut io).await.unwrap();
        assert_eq!(opener.open(&mut ticket).unwrap().0, HANDSHAKE);
    }
    let sealer = Keys::new(secrets.tx).unwrap();
    let hostile = Hostile { io, sealer, opener };
    (ours, hostile)
}

async fn read_record(io: &mut DuplexStream) -> io::Result<Vec<u8>> {
    let mut record = vec![0; RECORD_HEADER];
    io.read_exact(&mut record).await?;
    let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
    record.resize(RECORD_HEADER + length, 0);
    io.read_exact(&mut record[RECORD_HEADER..]).await?;
    Ok(record)
}

impl Hostile {
    fn seal(&mut self, content_type: u8, content: &[u8]) -> Vec<u8> {
        sealed(&mut self.sealer, content_type, content)
    }

    /// Sends bytes; what the stream gave out before it broke, how it broke, and the alert.
    async fn sends(
        mut self,
        mut ours: Ours,
        bytes: &[u8],
    ) -> (Vec<u8>, io::ErrorKind, AlertDescription) {
        self.io.write_all(bytes).await.unwrap();
        let mut received = Vec::new();
        let error = ours.read_to_end(&mut received).await.unwrap_err();
        let again = ours.read_u8().await.unwrap_err();
        assert_eq!(again.kind(), error.kind(), "it stays broken");
        let mut alert = read_record(&mut self.io).await.unwrap();
        let (content_type, content) = self.opener.open(&mut alert).unwrap();
        assert_eq!((content_type, content[0]), (ALERT, 2));
        let alert = content[1];
        self.hears_nothing_more(ours).await;
        (received, error.kind(), AlertDescription::from(alert))
    }
}

impl Hostile {
    /// After a fatal alert of either side: no data, no key update, no close_notify (RFC 8446 §6.2).
    async fn hears_nothing_more(&mut self, mut ours: Ours) {
        ours.update_asked = true;
        assert!(ours.write_all(b"late").await.is_err());
        ours.shutdown().await.unwrap();
        let mut rest = Vec::new();
        self.io.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table of cases")]
async fn records_against_the_protocol_end_the_connection_with_their_alert() {
    type Record = fn(&mut Hostile) -> Vec<u8>;
    let cases: [(&str, Record, AlertDescription); 14] = [
        (
            "a flipped bit",
            |client| {
                let mut record = client.seal(APPLICATION_DATA, b"x");
                record[RECORD_HEADER] ^= 1;
                record
            },
            AlertDescription::BadRecordMac,
        ),
        (
            "a record twice",
            |client| client.seal(APPLICATION_DATA, b"x").repeat(2),
            AlertDescription::BadRecordMac,
        ),
        (
            "too short for a tag",
            |_| vec![APPLICATION_DATA, 3, 3, 0, 2, 0, 0],
            AlertDescription::BadRecordMac,
        ),
        (
            "a length over the limit",
            |_| vec![APPLICATION_DATA, 3, 3, 0xff, 0xff],
            AlertDescription::RecordOverflow,
        ),
        (
            "change_cipher_spec",
            |_| vec![20, 3, 3, 0, 1, 1],
            AlertDescription::UnexpectedMessage,
        ),
        (
            "an alert in the clear",
            |_| vec![ALERT, 3, 3, 0, 2, 2, 40],
            AlertDescription::UnexpectedMessage,
        ),
        (
            "another handshake message",
            |client| client.seal(HANDSHAKE, &[11, 0, 0, 0]),
            AlertDescription::UnexpectedMessage,
        ),
        (
            "an unknown content type",
            |client| client.seal(99, b"x"),
            AlertDescription::UnexpectedMessage,
        ),
        (
            "an empty alert",
            |client| client.seal(ALERT, b""),
            AlertDescription::UnexpectedMessage,
        ),
        (
            "an empty handshake record",
            |client| client.seal(HANDSHAKE, b""),
            AlertDescription::UnexpectedMessage,
        ),
        (
            "half an alert",
            |client| client.seal(ALERT, &[2]),
            AlertDescription::DecodeError,
        ),
        (
            "nothing but padding",
            |client| client.seal(0, &[0; 300]),
            AlertDescription::UnexpectedMessage,
        ),
        (
            "padding beyond the limit of a record",
            |client| {
                let mut inner = vec![7, APPLICATION_DATA];
                inner.resize(MAX_CONTENT + 1, 0);
                client.seal(0, &inner)
            },
            AlertDescription::RecordOverflow,
        ),
        (
            "records without content for ever",
            |client| {
                let empty = |_| client.seal(APPLICATION_DATA, b"");
                (0..40).flat_map(empty).collect()
            },
            AlertDescription::UnexpectedMessage,
        ),
    ];
    for (name, record, expected) in cases {
        let (ours, mut client) = hostile().await;
        let mut bytes = client.seal(APPLICATION_DATA, b"before");
        bytes.extend(record(&mut client));
        let twice = name == "a record twice";
        let (received, kind, alert) = client.sends(ours, &bytes).await;
        let before: &[u8] = if twice { b"beforex" } else { b"before" };
        assert_eq!(received, before, "{name}: what came before is given out");
        assert_eq!(kind, io::ErrorKind::InvalidData, "{name}");
        assert_eq!(alert, expected, "{name}");
    }
}

#[tokio::test]
async fn a_fatal_alert_of_the_client_ends_the_connection() {
    let (mut ours, mut client) = hostile().await;
    let alert = client.seal(ALERT, &[2, AlertDescription::InternalError.into()]);
    client.io.write_all(&alert).await.unwrap();
    let error = ours.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    client.hears_nothing_more(ours).await;
}

#[tokio::test]
async fn nothing_behind_close_notify_is_read() {
    let (mut ours, mut client) = hostile().await;
    let mut bytes = client.seal(APPLICATION_DATA, b"last");
    bytes.extend(client.seal(ALERT, &[1, 0]));
    bytes.extend(client.seal(APPLICATION_DATA, b"more"));
    client.io.write_all(&bytes).await.unwrap();
    let mut received = Vec::new();
    ours.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, b"last");
}
