//! What RFC 8446 forbids and libraries let pass: the alert on the wire, and the reason that is counted.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::handshake_failures::{answers, counted, sidecar};
use crate::support::{client_config, hello, within};

const PROTOCOL_VERSION: u8 = 70;
const RECORD_OVERFLOW: u8 = 22;
const MISSING_EXTENSION: u8 = 109;

/// RFC 8446 D.5: SSL 3.0 ends a handshake, whatever else the hello says.
#[tokio::test(flavor = "multi_thread")]
async fn a_hello_of_ssl_3_is_refused_by_its_version() {
    for version in [[3, 0], [2, 0], [0, 0]] {
        let mut old = hello::hybrid();
        old[9..11].copy_from_slice(&version);
        answers(&old, &hello::alert(PROTOCOL_VERSION), "tls_version").await;
    }
}

/// RFC 8446 §9.2: a server must say so, and not `handshake_failure`.
#[tokio::test(flavor = "multi_thread")]
async fn groups_without_key_shares_and_shares_without_groups_miss_an_extension() {
    const SUPPORTED_GROUPS: u16 = 10;
    const KEY_SHARE: u16 = 51;
    for extension in [SUPPORTED_GROUPS, KEY_SHARE] {
        let hello = hello::without(&hello::hybrid(), extension);
        answers(&hello, &hello::alert(MISSING_EXTENSION), "incompatible").await;
    }
}

/// RFC 8446 §5.1: 2^14 bytes at most, said before the rest is read.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_long_overflows() {
    for length in [0x4001_u16, 0x4100, 0xffff] {
        let [high, low] = length.to_be_bytes();
        for sent in [5, 5 + usize::from(length)] {
            let mut oversized = vec![22, 3, 1, high, low];
            oversized.resize(sent, 1);
            answers(&oversized, &hello::alert(RECORD_OVERFLOW), "malformed").await;
        }
    }
}

/// RFC 8446 §6: who sends an alert of an error gives up, whatever the level and what follows.
#[tokio::test(flavor = "multi_thread")]
async fn an_alert_before_the_hello_is_counted_as_the_clients() {
    const USER_CANCELED: [u8; 7] = [21, 3, 1, 0, 2, 1, 90];
    let before_a_hello = [&USER_CANCELED[..], &hello::hybrid()].concat();
    for sent in [&USER_CANCELED[..], &before_a_hello] {
        answers(sent, b"", "client_alert").await;
    }
}

/// RFC 8446 §5.1: handshake messages and alerts of no length are not to be sent.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_message_is_unexpected() {
    for record in [[21, 3, 3, 0, 0], [22, 3, 3, 0, 0], [22, 3, 1, 0, 0]] {
        answers(&record, &hello::alert(10), "misbehaved").await;
    }
}

/// So are these between ServerHello and Finished: the alert comes under the keys, and rustls's client reads it.
#[tokio::test(flavor = "multi_thread")]
async fn records_that_must_not_be_behind_the_server_hello_are_unexpected() {
    let changes = [20, 3, 3, 0, 1, 1].repeat(3);
    for record in [
        &[21, 3, 3, 0, 0][..],
        &[22, 3, 3, 0, 0],
        &[22, 3, 1, 0, 0],
        // A Finished in plaintext (§5.2).
        &[22, 3, 3, 0, 4, 20, 0, 0, 0],
        // More change_cipher_spec than a middlebox needs.
        &changes,
    ] {
        let sidecar = sidecar("").await;
        let mut tls = rustls::ClientConnection::new(
            client_config(&sidecar.ca, &["http/1.1"]).into(),
            "localhost".try_into().unwrap(),
        )
        .unwrap();
        let mut stream = TcpStream::connect(sidecar.address).await.unwrap();
        let mut sent = Vec::new();
        tls.write_tls(&mut sent).unwrap();
        stream.write_all(&sent).await.unwrap();
        // Its own Finished stays here.
        let mut buffer = [0; 16_384];
        while tls.is_handshaking() {
            let count = within(stream.read(&mut buffer)).await.unwrap();
            assert!(count > 0, "closed before the handshake was over");
            tls.read_tls(&mut &buffer[..count]).unwrap();
            tls.process_new_packets().unwrap();
        }
        stream.write_all(record).await.unwrap();
        let mut answer = Vec::new();
        within(stream.read_to_end(&mut answer)).await.unwrap();
        let mut answer = &answer[..];
        while !answer.is_empty() {
            tls.read_tls(&mut answer).unwrap();
        }
        let error = tls.process_new_packets().unwrap_err();
        let unexpected = rustls::AlertDescription::UnexpectedMessage;
        assert_eq!(
            error,
            rustls::Error::AlertReceived(unexpected),
            "{record:?}"
        );
        counted(&sidecar, "misbehaved").await;
    }
}
