//! Handshakes that must not complete: the reason that is counted, and the alert on the wire.

use std::time::Duration;

use crate::support::openssl::Client;
use crate::support::pki::TestPki;
use crate::support::{Setup, Sidecar, answering, hello, within};
use hybridge::certgen::Algorithm;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
pub(crate) const FAILED: &str = "hybridge_handshake_failures_total";

const HANDSHAKE_FAILURE: u8 = 40;
const ILLEGAL_PARAMETER: u8 = 47;
const PROTOCOL_VERSION: u8 = 70;
const NO_APPLICATION_PROTOCOL: u8 = 120;

pub(crate) async fn sidecar(tls: &str) -> Sidecar {
    Setup::in_front_of(answering(EMPTY).await).tls(tls).start()
}

/// One failure is counted, under this reason and no other, and no handshake.
pub(crate) async fn counted(sidecar: &Sidecar, reason: &str) {
    sidecar
        .metric_reaches(FAILED, &[("reason", reason)], 1.0)
        .await;
    assert_eq!(sidecar.metric(FAILED, &[]).await, 1.0);
    let completed = sidecar.metric("hybridge_handshakes_total", &[]).await;
    assert_eq!(completed, 0.0);
    let outcome = [("outcome", "handshake_failed")];
    sidecar
        .metric_reaches("hybridge_connections_total", &outcome, 1.0)
        .await;
    sidecar
        .metric_is("hybridge_connections_open", &[], 0.0)
        .await;
}

/// OpenSSL with what it offers is refused with an alert, which is counted under a reason.
async fn refuses(tls: &str, client: Client, alert: u8, reason: &str) {
    let sidecar = sidecar(tls).await;
    let refused = client.connect(sidecar.address).await.unwrap_err();
    assert_eq!(refused.alert, Some(alert), "{refused:?}");
    counted(&sidecar, reason).await;
}

/// Bytes are answered with exactly these, and counted under a reason.
pub(crate) async fn answers(bytes: &[u8], expected: &[u8], reason: &str) {
    let sidecar = sidecar("").await;
    let answer = hello::answer_to(sidecar.address, bytes).await;
    assert_eq!(
        answer.escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
    counted(&sidecar, reason).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_common_group_is_a_handshake_failure() {
    let client = Client::new().groups("X25519");
    let tls = "policy = \"hybrid-required\"";
    refuses(tls, client, HANDSHAKE_FAILURE, "no_common_group").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_1_2_is_refused_by_its_version() {
    for tls in ["", "policy = \"classical-only\""] {
        let client = Client::new().tls12_only();
        refuses(tls, client, PROTOCOL_VERSION, "tls_version").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_common_suite_is_a_handshake_failure() {
    let tls = "cipher-suites = [\"TLS_AES_256_GCM_SHA384\"]";
    let client = Client::new().suites("TLS_AES_128_GCM_SHA256");
    refuses(tls, client, HANDSHAKE_FAILURE, "no_common_suite").await;
}

/// The certificate is ECDSA P-256.
#[tokio::test(flavor = "multi_thread")]
async fn no_common_signature_scheme_is_a_handshake_failure() {
    let client = Client::new().signatures("rsa_pss_rsae_sha256");
    refuses("", client, HANDSHAKE_FAILURE, "no_common_signature_scheme").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_common_application_protocol_is_said() {
    let client = Client::new().alpn(&["spdy/3"]);
    refuses("", client, NO_APPLICATION_PROTOCOL, "no_common_alpn").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_alpn_is_no_failure() {
    let sidecar = sidecar("").await;
    let connected = Client::new().connect(sidecar.address).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = connected.finish(request).await.answer;
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{answer:?}");
}

/// Nobody's certificate (unknown_ca), or that of another CA of the same name, as after a
/// change of CA (OpenSSL then says decrypt_error).
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_distrusts_the_certificate_is_counted_as_that() {
    let stranger = TestPki::new(Algorithm::EcdsaP256);
    for client in [
        Client::new().trusting_nobody(),
        Client::new().trusting(stranger.ca_pem().as_bytes()),
    ] {
        let sidecar = sidecar("").await;
        let refused = client.connect(sidecar.address).await.unwrap_err();
        let why = "certificate verify failed";
        assert!(refused.error.contains(why), "{refused:?}");
        counted(&sidecar, "client_distrusts_us").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn key_shares_that_are_not_valid_are_illegal_parameters() {
    let refused = hello::alert(ILLEGAL_PARAMETER);
    let hybrid =
        |alter: fn(&mut Vec<u8>)| hello::with_share(&hello::hybrid(), hello::X25519MLKEM768, alter);
    let classical =
        |alter: fn(&mut Vec<u8>)| hello::with_share(&hello::classical(), hello::X25519, alter);
    for spoiled in [
        // Coefficients above the modulus: FIPS 203 §7.2 has the encapsulation key refused.
        hybrid(|share| share[..1184].fill(0xff)),
        // The X25519 half: a point of low order makes the shared secret zero (RFC 8446 §7.4.2).
        hybrid(|share| share[1184..].fill(0)),
        hybrid(|share| share.truncate(1215)),
        hybrid(|share| share.push(0)),
        hybrid(|share| share.truncate(1)),
        classical(|share| share.fill(0)),
        classical(|share| share.truncate(31)),
        classical(|share| share.push(0)),
    ] {
        answers(&spoiled, &refused, "bad_key_share").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_gets_an_answer_that_a_person_can_read() {
    const ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: 38\r\n\r\nThis port speaks TLS: use an https URL";
    for request in [
        "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
        "DELETE /x HTTP/1.1\r\nhost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        answers(request.as_bytes(), ANSWER, "plain_http").await;
    }
    // Bodies that are still being sent must not turn the answer into a reset.
    let long = format!(
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 200000\r\n\r\n{}",
        "x".repeat(200_000)
    );
    answers(long.as_bytes(), ANSWER, "plain_http").await;
}

/// A method is known by its first bytes, however they arrive.
#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_known_byte_by_byte() {
    for request in ["GET / HTTP/1.1\r\n", "DELETE / HTTP/1.1\r\n"] {
        let sidecar = sidecar("").await;
        let mut stream = TcpStream::connect(sidecar.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        // All of it is sent, though the answer may come before the end.
        for byte in request.bytes() {
            stream.write_all(&[byte]).await.unwrap();
            // Not readiness: time for the byte to be read before the rest.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let mut answer = String::new();
        within(stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{request}: {answer}");
        counted(&sidecar, "plain_http").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_tls_is_told_so_by_an_alert() {
    let decode_error = hello::alert(50);
    answers(b"SSH-2.0-OpenSSH_9.9\r\n", &decode_error, "not_tls").await;
    answers(&[0xff; 5000], &decode_error, "not_tls").await;
    answers(&[0; 64], &decode_error, "not_tls").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_against_the_protocol_are_malformed() {
    // A Finished in the place of a hello.
    let mut too_early = hello::hybrid();
    too_early[5] = 20;
    answers(&too_early, &hello::alert(10), "malformed").await;
    // Lengths inside that reach beyond the message.
    let mut torn = hello::hybrid();
    torn[43] = 0xff;
    answers(&torn, &hello::alert(50), "malformed").await;
}

/// Records that carry nothing must not keep a handshake busy for its whole deadline.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_empty_records_is_cut_short() {
    let sidecar = sidecar("").await;
    for record in [
        &[20, 3, 3, 0, 1, 1][..],
        &[22, 3, 3, 0, 0],
        &[21, 3, 3, 0, 2, 1, 0],
    ] {
        let mut stream = TcpStream::connect(sidecar.address).await.unwrap();
        let flood = record.repeat(1000);
        let _ = stream.write_all(&flood).await;
        let mut answer = Vec::new();
        let _ = within(stream.read_to_end(&mut answer)).await;
    }
    sidecar.metric_reaches(FAILED, &[], 3.0).await;
    let timeout = [("reason", "timeout")];
    assert_eq!(sidecar.metric(FAILED, &timeout).await, 0.0);
}

/// A hello that comes a byte a record is put together, but not for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_hello_in_thousands_of_records_is_malformed() {
    let begun = [22, 3, 3, 0, 4, 1, 0, 0xf0, 0];
    let drops = [22, 3, 3, 0, 1, 0].repeat(5000);
    let bytes = [&begun[..], &drops].concat();
    answers(&bytes, &hello::alert(50), "malformed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_nothing_and_leaves_is_no_hello() {
    let sidecar = sidecar("").await;
    drop(TcpStream::connect(sidecar.address).await.unwrap());
    counted(&sidecar, "no_hello").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_is_counted_as_that() {
    let whole = hello::hybrid();
    for sent in [1, 5, 700, whole.len()] {
        let sidecar = sidecar("").await;
        let mut stream = TcpStream::connect(sidecar.address).await.unwrap();
        stream.write_all(&whole[..sent]).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = within(stream.read_to_end(&mut answer)).await;
        counted(&sidecar, "vanished").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_ends_half_a_hello_and_silence_alike() {
    let whole = hello::hybrid();
    for sent in [0, 1, 700, whole.len()] {
        let sidecar = sidecar("handshake-timeout = \"200ms\"").await;
        let mut stream = TcpStream::connect(sidecar.address).await.unwrap();
        stream.write_all(&whole[..sent]).await.unwrap();
        let mut answer = Vec::new();
        within(stream.read_to_end(&mut answer)).await.unwrap();
        assert_eq!(answer.is_empty(), sent < whole.len());
        counted(&sidecar, "timeout").await;
    }
}

/// Every byte in time, and the whole still too late.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_drip_does_not_stretch_the_deadline() {
    let sidecar = sidecar("handshake-timeout = \"400ms\"").await;
    let stream = TcpStream::connect(sidecar.address).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let drip = tokio::spawn(async move {
        for byte in hello::hybrid() {
            if writer.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut answer = Vec::new();
    let _ = within(reader.read_to_end(&mut answer)).await;
    assert!(answer.is_empty());
    counted(&sidecar, "timeout").await;
    drip.abort();
}

/// A client that gives up in the middle says why, and that is no fault of its certificate check.
#[tokio::test(flavor = "multi_thread")]
async fn an_alert_of_the_client_is_counted_as_that() {
    let sidecar = sidecar("").await;
    let mut stream = TcpStream::connect(sidecar.address).await.unwrap();
    stream.write_all(&hello::hybrid()).await.unwrap();
    // internal_error, before any key is in use.
    stream.write_all(&hello::alert(80)).await.unwrap();
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
    counted(&sidecar, "client_alert").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_that_was_tampered_with_does_not_decrypt() {
    let sidecar = sidecar("").await;
    let mut stream = TcpStream::connect(sidecar.address).await.unwrap();
    stream.write_all(&hello::hybrid()).await.unwrap();
    let forged = [&[23, 3, 3, 0, 53][..], &[7; 53]].concat();
    stream.write_all(&forged).await.unwrap();
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
    counted(&sidecar, "decrypt_error").await;
}
