//! Which servers an egress trusts: each way to be another one has its reason, and the app gets a reset.

use hybridge::certgen::Algorithm;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, SanType};
use tokio::io::AsyncWriteExt as _;

use crate::support::egress::{app, egress};
use crate::support::openssl::server::{Listening, Server};
use crate::support::pki::{Pair, TestPki, client, uri};
use crate::support::{Sidecar, upstream};

const COMPLETED: &str = "hybridge_handshakes_total";
const FAILED: &str = "hybridge_handshake_failures_total";

/// A server's certificate with these names.
fn server(names: &[SanType]) -> CertificateParams {
    let mut params = client(names);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn to(host: &str, server: &Listening, ca: &TestPki, tls: &str) -> Sidecar {
    egress(
        &format!("{host}:{}", server.address.port()),
        ca.ca_pem(),
        tls,
        "",
    )
}

async fn accepted(egress: &Sidecar, what: &str) {
    let ended = app(egress.address, b"ping").await;
    assert_eq!(ended.received, b"ping", "{what}");
    assert!(!ended.reset, "{what}");
}

async fn refused(egress: &Sidecar, reason: &str) {
    let ended = app(egress.address, b"ping").await;
    assert_eq!(
        (ended.received, ended.reset),
        (Vec::new(), true),
        "{reason}"
    );
    egress.metric_reaches(FAILED, &[], 1.0).await;
    let counted = egress.metric(FAILED, &[("reason", reason)]).await;
    assert_eq!(counted, 1.0, "{reason}: {}", failures(egress).await);
    assert_eq!(egress.metric(FAILED, &[]).await, 1.0, "{reason}");
    assert_eq!(egress.metric(COMPLETED, &[]).await, 0.0, "{reason}");
}

async fn failures(egress: &Sidecar) -> String {
    let (_, page) = egress.admin("/metrics").await;
    let counted = |line: &&str| {
        (line.contains("failures_total{") || line.contains("hybridge_connections_total"))
            && !line.ends_with(" 0")
    };
    page.lines().filter(counted).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn a_server_is_trusted_by_its_name_or_address_and_by_no_other() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let both = Server::new(&pki.leaf(&["localhost", "127.0.0.1"])).listen();
    accepted(&to("localhost", &both, &pki, ""), "name").await;
    accepted(&to("127.0.0.1", &both, &pki, ""), "address").await;
    let other = Server::new(&pki.leaf(&["train.svc"])).listen();
    let named = "server-name = \"train.svc\"";
    accepted(&to("localhost", &other, &pki, named), "server-name").await;
    refused(&to("localhost", &other, &pki, ""), "server_name_mismatch").await;
    refused(&to("127.0.0.1", &other, &pki, ""), "server_name_mismatch").await;
}

#[tokio::test]
async fn a_ca_dates_and_purpose_are_verified() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let stranger = TestPki::new(Algorithm::EcdsaP256);
    for (pair, reason) in [
        (stranger.leaf(&["localhost"]), "server_untrusted"),
        (pki.expired(&["localhost"]), "server_expired"),
        (pki.not_yet_valid(&["localhost"]), "server_expired"),
        (
            pki.client(&[SanType::DnsName("localhost".try_into().unwrap())]),
            "server_wrong_purpose",
        ),
    ] {
        let server = Server::new(&pair).listen();
        refused(&to("localhost", &server, &pki, ""), reason).await;
    }
    let chain = Server::new(&pki.chain(&["localhost"])).listen();
    accepted(&to("localhost", &chain, &pki, ""), "an intermediate").await;
}

#[tokio::test]
async fn a_server_is_trusted_by_its_spiffe_id_whatever_its_name() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let one = "spiffe://train.example/ns/ml/sa/rank-0";
    let rule = |id: &str| format!("peer-ids = [\"{id}\"]");
    let listen = |names: &[SanType]| Server::new(&pki.issue(&server(names))).listen();
    let right = listen(&[uri(one)]);
    accepted(&to("localhost", &right, &pki, &rule(one)), "its id").await;
    let any = rule("spiffe://train.example/ns/ml/sa/*");
    accepted(&to("localhost", &right, &pki, &any), "a pattern").await;
    let other = rule("spiffe://train.example/ns/ml/sa/rank-1");
    refused(&to("localhost", &right, &pki, &other), "server_id_mismatch").await;
    let named = [uri(one), SanType::DnsName("localhost".try_into().unwrap())];
    let named = listen(&named);
    refused(&to("localhost", &named, &pki, &other), "server_id_mismatch").await;
    let two = listen(&[uri(one), uri("spiffe://train.example/ns/ml/sa/rank-1")]);
    refused(
        &to("localhost", &two, &pki, &rule(one)),
        "server_id_mismatch",
    )
    .await;
    let stranger = TestPki::new(Algorithm::EcdsaP256);
    let forged = Server::new(&stranger.issue(&server(&[uri(one)]))).listen();
    refused(
        &to("localhost", &forged, &pki, &rule(one)),
        "server_untrusted",
    )
    .await;
}

#[tokio::test]
async fn a_server_with_an_ml_dsa_certificate_is_verified() {
    let pki = TestPki::new(Algorithm::MlDsa65);
    let server = Server::new(&pki.leaf(&["localhost"])).listen();
    let egress = to("localhost", &server, &pki, "");
    accepted(&egress, "ML-DSA-65").await;
    accepted(&egress, "ML-DSA-65 resumed").await;
    let resumed = [("kind", "resumed")];
    egress.metric_reaches(COMPLETED, &resumed, 1.0).await;
}

/// A resumption shows no certificate: without an end of its own it would outlive the one it rests on.
#[tokio::test]
async fn a_session_ends_with_the_certificate_that_was_verified() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let now = time::OffsetDateTime::now_utc();
    let end = now + time::Duration::seconds(6);
    let pair = pki.leaf_valid(&["localhost"], now - time::Duration::hours(1), end);
    let server = Server::new(&pair).listen();
    let egress = to("localhost", &server, &pki, "");
    accepted(&egress, "before the end").await;
    accepted(&egress, "resumed before the end").await;
    let resumed = [("kind", "resumed")];
    egress.metric_reaches(COMPLETED, &resumed, 1.0).await;
    while time::OffsetDateTime::now_utc() < end + time::Duration::seconds(1) {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let ended = app(egress.address, b"ping").await;
    assert_eq!((ended.received, ended.reset), (Vec::new(), true));
    let expired = [("reason", "server_expired")];
    egress.metric_reaches(FAILED, &expired, 1.0).await;
    assert_eq!(egress.metric(COMPLETED, &resumed).await, 1.0);
}

#[tokio::test]
async fn other_versions_protocols_and_plaintext_are_told_apart() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let pair = pki.leaf(&["localhost"]);
    let old = Server::new(&pair).tls12_only().listen();
    refused(&to("localhost", &old, &pki, ""), "tls_version").await;
    let h2 = Server::new(&pair).speaking(b"\x02h2").listen();
    let alpn = "alpn = [\"acme\"]";
    refused(&to("localhost", &h2, &pki, alpn), "no_common_alpn").await;
    let alpn = "alpn = [\"acme\", \"h2\"]";
    accepted(&to("localhost", &h2, &pki, alpn), "h2").await;
    let plain = upstream(|mut stream| async move {
        let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        let _ = stream.write_all(answer).await;
    });
    let target = format!("localhost:{}", plain.await.port());
    refused(&egress(&target, pki.ca_pem(), "", ""), "not_tls").await;
    let silent = upstream(|stream| async move { drop(stream) }).await;
    let target = format!("localhost:{}", silent.port());
    refused(&egress(&target, pki.ca_pem(), "", ""), "vanished").await;
    let mute = upstream(|stream| async move {
        tokio::time::sleep(crate::support::DEADLINE).await;
        drop(stream);
    });
    let target = format!("localhost:{}", mute.await.port());
    let short = "handshake-timeout = \"100ms\"";
    refused(&egress(&target, pki.ca_pem(), short, ""), "timeout").await;
}

/// What a server that breaks the protocol sends must end in a reason, never in a panic.
#[tokio::test]
async fn whatever_a_server_sends_the_egress_survives_it() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let records: [&'static [u8]; 6] = [
        b"\x16\x03\x03\x00\x04\x02\x00\x00\x00",
        b"\x16\x03\x03\x00\x05\x18\x00\x00\x01\x00",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x17\x03\x03\x00\x13aaaaaaaaaaaaaaaaaaa",
        b"\x16\x03\x03\x00\x09\x0b\x00\x00\x01\x00\x14\x00\x00\x00",
        b"\x16\x03\x03\xff\xff",
    ];
    for record in records {
        let broken = upstream(move |mut stream| async move {
            let _ = stream.write_all(record).await;
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        });
        let target = format!("localhost:{}", broken.await.port());
        let egress = egress(&target, pki.ca_pem(), "", "");
        let ended = app(egress.address, b"ping").await;
        assert_eq!(
            (ended.received, ended.reset),
            (Vec::new(), true),
            "{record:?}"
        );
        egress.metric_reaches(FAILED, &[], 1.0).await;
        assert_eq!(egress.metric("hybridge_panics_total", &[]).await, 0.0);
    }
}

fn identity(dir: &std::path::Path, pair: &Pair) -> String {
    std::fs::write(dir.join("me.crt"), &pair.cert).unwrap();
    std::fs::write(dir.join("me.key"), &pair.key).unwrap();
    let dir = dir.display();
    format!("cert = \"{dir}/me.crt\"\nkey = \"{dir}/me.key\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_sees_our_certificate_and_the_next_one_after_a_reload() {
    let (pki, clients) = (
        TestPki::new(Algorithm::EcdsaP256),
        TestPki::new(Algorithm::EcdsaP256),
    );
    let server = Server::new(&pki.leaf(&["localhost"])).asking(clients.ca_pem());
    let server = server.listen();
    let dir = tempfile::tempdir().unwrap();
    let named = |name: &str| {
        let mut params = client(&[uri("spiffe://a.org/x")]);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        clients.issue(&params)
    };
    let tls = identity(dir.path(), &named("first"));
    let egress = to("localhost", &server, &pki, &tls);
    for resumed in [false, true] {
        accepted(&egress, "mTLS").await;
        let seen = server.seen().await;
        assert_eq!(
            (seen.client.as_deref(), seen.resumed),
            (Some("first"), resumed)
        );
    }
    identity(dir.path(), &named("second"));
    let reloads = "hybridge_credential_reloads_total";
    egress
        .metric_reaches(reloads, &[("result", "ok")], 1.0)
        .await;
    accepted(&egress, "the next certificate").await;
    let seen = server.seen().await;
    // No ticket of the first: it would still be the first's session.
    assert_eq!(
        (seen.client.as_deref(), seen.resumed),
        (Some("second"), false)
    );
}

/// A client's handshake is complete before the server has verified its certificate: that is no success.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_us_is_a_failure_and_no_handshake() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let clients = TestPki::new(Algorithm::EcdsaP256);
    let stranger = TestPki::new(Algorithm::EcdsaP256);
    let server = Server::new(&pki.leaf(&["localhost"])).asking(clients.ca_pem());
    let server = server.listen();
    refused(&to("localhost", &server, &pki, ""), "server_refused_us").await;
    let dir = tempfile::tempdir().unwrap();
    let tls = identity(dir.path(), &stranger.client(&[uri("spiffe://a.org/x")]));
    refused(&to("localhost", &server, &pki, &tls), "server_refused_us").await;
}
