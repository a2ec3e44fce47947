//! Who may in: certificates that are good, or wrong in one way, each with its alert and its reason.

use std::sync::Arc;

use hybridge::certgen::Algorithm;
use rcgen::{ExtendedKeyUsagePurpose, SanType};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::openssl::Client;
use crate::support::pki::{Pair, TestPki, ca_params, client, constrained_to_uris, uri};
use crate::support::{Setup, Sidecar, answering, client_config, within};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const FAILED: &str = "hybridge_handshake_failures_total";
const RESULTS: &str = "hybridge_client_certificates_total";
const ALGORITHMS: &str = "hybridge_client_certificate_algorithm_total";
const BATCH: &str = "spiffe://example.org/ns/ai/sa/batch";

const UNSUPPORTED_CERTIFICATE: u8 = 43;
const CERTIFICATE_EXPIRED: u8 = 45;
const CERTIFICATE_UNKNOWN: u8 = 46;
const UNKNOWN_CA: u8 = 48;
const ACCESS_DENIED: u8 = 49;
const DECRYPT_ERROR: u8 = 51;
const CERTIFICATE_REQUIRED: u8 = 116;

/// A listener that lets in the batch job of any namespace, and the CA it asks.
struct Gate {
    sidecar: Sidecar,
    clients: TestPki,
    _dir: TempDir,
}

impl Gate {
    async fn new(mode: &str) -> Self {
        let rule = "allow-uri = [\"spiffe://example.org/ns/*/sa/batch\"]";
        Self::with(mode, rule, Algorithm::EcdsaP256).await
    }

    async fn with(mode: &str, rules: &str, algorithm: Algorithm) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clients = TestPki::new(algorithm);
        let ca = dir.path().join("clients.crt");
        std::fs::write(&ca, clients.ca_pem()).unwrap();
        let ca = ca.display();
        let tls = format!("client-auth = \"{mode}\"\nclient-ca = \"{ca}\"\n{rules}");
        Self {
            sidecar: Setup::in_front_of(answering(ANSWER).await)
                .tls(&tls)
                .start(),
            clients,
            _dir: dir,
        }
    }

    async fn try_with(&self, client: Client) -> Result<(), Option<u8>> {
        let connected = client.connect(self.sidecar.address).await.unwrap();
        let finished = connected.exchange(REQUEST).await?;
        assert!(finished.answer.starts_with(b"HTTP/1.1 200 "));
        Ok(())
    }

    async fn serves(&self, pair: &Pair) {
        assert_eq!(self.try_with(presenting(pair)).await, Ok(()));
    }

    /// The alert is this, and one more failure is counted under this reason.
    async fn refuses(&self, client: Client, alert: u8, reason: &str) {
        let before = self.sidecar.metric(FAILED, &[]).await;
        assert_eq!(self.try_with(client).await, Err(Some(alert)), "{reason}");
        let labels = [("reason", reason)];
        let least = self.sidecar.metric(FAILED, &labels).await.max(1.0);
        self.sidecar.metric_reaches(FAILED, &labels, least).await;
        self.sidecar.metric_is(FAILED, &[], before + 1.0).await;
    }
}

fn presenting(pair: &Pair) -> Client {
    Client::new().presenting(&pair.cert, &pair.key)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_certificate_is_let_in_only_where_it_may_have_none() {
    let gate = Gate::new("optional").await;
    assert_eq!(gate.try_with(Client::new()).await, Ok(()));
    gate.sidecar
        .metric_is(RESULTS, &[("result", "none")], 1.0)
        .await;
    let gate = Gate::new("required").await;
    let reason = "client_certificate_missing";
    gate.refuses(Client::new(), CERTIFICATE_REQUIRED, reason)
        .await;
}

/// Whatever key it has: decrypt_error would speak of the handshake.
#[tokio::test(flavor = "multi_thread")]
async fn another_ca_of_the_same_name_is_unknown() {
    let gate = Gate::new("required").await;
    for algorithm in [
        Algorithm::EcdsaP256,
        Algorithm::EcdsaP384,
        Algorithm::Ed25519,
        Algorithm::MlDsa65,
    ] {
        let pair = TestPki::new(algorithm).client(&[uri(BATCH)]);
        let reason = "client_certificate_untrusted";
        gate.refuses(presenting(&pair), UNKNOWN_CA, reason).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_certificate_is_refused_in_both_modes() {
    for mode in ["required", "optional"] {
        let gate = Gate::new(mode).await;
        let batch = [uri(BATCH)];
        gate.serves(&gate.clients.client(&batch)).await;

        let stranger = TestPki::new(Algorithm::EcdsaP256).client(&batch);
        let untrusted = "client_certificate_untrusted";
        gate.refuses(presenting(&stranger), UNKNOWN_CA, untrusted)
            .await;
        gate.refuses(presenting(&self_signed(&batch)), UNKNOWN_CA, untrusted)
            .await;

        let now = OffsetDateTime::now_utc();
        let mut params = client(&batch);
        params.not_before = now - Duration::days(2);
        params.not_after = now - Duration::hours(1);
        let expired = gate.clients.issue(&params);
        let reason = "client_certificate_expired";
        gate.refuses(presenting(&expired), CERTIFICATE_EXPIRED, reason)
            .await;
        params.not_before = now + Duration::hours(1);
        params.not_after = now + Duration::days(2);
        let early = gate.clients.issue(&params);
        gate.refuses(presenting(&early), CERTIFICATE_EXPIRED, reason)
            .await;

        let mut params = client(&batch);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server = gate.clients.issue(&params);
        let reason = "client_certificate_wrong_purpose";
        gate.refuses(presenting(&server), UNSUPPORTED_CERTIFICATE, reason)
            .await;

        for names in [
            vec![uri("spiffe://example.org/ns/ai/sa/other")],
            vec![uri("spiffe://example.org.evil.net/ns/ai/sa/batch")],
            vec![uri(BATCH), uri("spiffe://example.org/ns/ai/sa/other")],
            vec![SanType::DnsName("batch".try_into().unwrap())],
            vec![],
        ] {
            let pair = gate.clients.client(&names);
            let reason = "client_certificate_denied";
            gate.refuses(presenting(&pair), ACCESS_DENIED, reason).await;
        }
        let completed = gate.sidecar.metric("hybridge_handshakes_total", &[]).await;
        assert_eq!(completed, 1.0, "{mode}");
        for (result, count) in [
            ("accepted", 1.0),
            ("none", 0.0),
            ("missing", 0.0),
            ("untrusted", 2.0),
            ("expired", 2.0),
            ("wrong_purpose", 1.0),
            ("denied", 5.0),
            ("revoked", 0.0),
            ("crl_stale", 0.0),
        ] {
            let labels = [("listener", "test"), ("result", result)];
            let counted = gate.sidecar.metric(RESULTS, &labels).await;
            assert_eq!(counted, count, "{mode} {result}");
        }
        // Who a client is stands in the log only.
        let (_, page) = gate.sidecar.admin("/metrics").await;
        assert!(!page.contains("spiffe://"), "{page}");
        // Closed sets are there before anything happens.
        for label in ["result=\"crl_stale\"", "algorithm=\"other\""] {
            assert!(page.contains(label), "{page}");
        }
    }
}

fn self_signed(names: &[SanType]) -> Pair {
    let key = rcgen::KeyPair::generate().unwrap();
    Pair {
        cert: client(names).self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_without_a_purpose_and_one_behind_an_intermediate_are_good() {
    let gate = Gate::new("required").await;
    let mut params = client(&[uri(BATCH)]);
    params.extended_key_usages.clear();
    gate.serves(&gate.clients.issue(&params)).await;
    let leaf = client(&[uri(BATCH)]);
    gate.serves(&gate.clients.chain_of(&ca_params("intermediate"), &leaf))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_rule_lets_in_whom_it_names() {
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    for (rule, name) in [
        (
            "allow-dns = [\"*.clients.example.org\"]",
            dns("batch.clients.example.org"),
        ),
        (
            "allow-ip = [\"192.0.2.7\"]",
            SanType::IpAddress("192.0.2.7".parse().unwrap()),
        ),
        (
            "allow-cn = [\"client\"]",
            uri("https://nobody.example/asks"),
        ),
        ("allow-any = true", dns("anybody.example")),
    ] {
        let gate = Gate::with("required", rule, Algorithm::EcdsaP256).await;
        gate.serves(&gate.clients.client(&[name])).await;
        let stranger = TestPki::new(Algorithm::EcdsaP256).client(&[uri(BATCH)]);
        let reason = "client_certificate_untrusted";
        gate.refuses(presenting(&stranger), UNKNOWN_CA, reason)
            .await;
    }
}

/// Chains of two certificates, that of ML-DSA-87 over several records.
#[tokio::test(flavor = "multi_thread")]
async fn chains_of_every_algorithm_are_verified_through_a_retry_and_byte_by_byte_too() {
    for algorithm in [
        Algorithm::EcdsaP256,
        Algorithm::EcdsaP384,
        Algorithm::Ed25519,
        Algorithm::Rsa2048,
        Algorithm::MlDsa44,
        Algorithm::MlDsa65,
        Algorithm::MlDsa87,
    ] {
        let rule = "allow-uri = [\"spiffe://example.org/**\"]";
        let gate = Gate::with("required", rule, algorithm).await;
        let leaf = client(&[uri(BATCH)]);
        let pair = gate.clients.chain_of(&ca_params("intermediate"), &leaf);
        gate.serves(&pair).await;
        let labels = [("algorithm", label(algorithm))];
        gate.sidecar.metric_is(ALGORITHMS, &labels, 1.0).await;
        gate.sidecar.metric_is(ALGORITHMS, &[], 1.0).await;
        // A share for a group that is not preferred: the server asks for another one.
        let retried = presenting(&pair).groups("*X25519:X25519MLKEM768");
        assert_eq!(gate.try_with(retried).await, Ok(()), "{algorithm:?}");
        let slow = presenting(&pair).byte_by_byte();
        assert_eq!(gate.try_with(slow).await, Ok(()), "{algorithm:?}");
        let stranger = TestPki::new(algorithm).chain_of(&ca_params("intermediate"), &leaf);
        let refused = gate.try_with(presenting(&stranger)).await;
        assert!(refused.is_err(), "{algorithm:?}");
    }
}

fn label(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::EcdsaP256 => "ecdsa-p256",
        Algorithm::EcdsaP384 => "ecdsa-p384",
        Algorithm::Ed25519 => "ed25519",
        Algorithm::Rsa2048 => "rsa",
        Algorithm::MlDsa44 => "ml-dsa-44",
        Algorithm::MlDsa65 => "ml-dsa-65",
        Algorithm::MlDsa87 => "ml-dsa-87",
    }
}

/// Somebody who saw a certificate and does not have its key.
#[derive(Debug)]
struct Thief(Arc<CertifiedKey>);

impl ResolvesClientCert for Thief {
    fn resolve(
        &self,
        _hints: &[&[u8]],
        _schemes: &[rustls::SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_without_its_key_is_refused() {
    let gate = Gate::new("required").await;
    let (seen, own) = (gate.clients.client(&[uri(BATCH)]), gate.clients.client(&[]));
    let chain = CertificateDer::pem_slice_iter(seen.cert.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let mut config = client_config(&gate.sidecar.ca, &["http/1.1"]);
    config.client_auth_cert_resolver = Arc::new(Thief(Arc::new(CertifiedKey::new(chain, key))));
    let mut stream = gate.sidecar.try_connect(config).await.unwrap();
    let _ = stream.write_all(REQUEST).await;
    let refused = within(stream.read_u8()).await.unwrap_err();
    assert!(
        refused.to_string().contains("DecryptError"),
        "{DECRYPT_ERROR}: {refused}"
    );
    let labels = [("reason", "client_certificate_untrusted")];
    gate.sidecar.metric_reaches(FAILED, &labels, 1.0).await;
    gate.sidecar
        .metric_is("hybridge_handshakes_total", &[], 0.0)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intermediate_with_a_uri_constraint_cannot_be_verified() {
    let gate = Gate::new("required").await;
    let intermediate = constrained_to_uris(ca_params("fenced"));
    let pair = gate.clients.chain_of(&intermediate, &client(&[uri(BATCH)]));
    let reason = "client_certificate_untrusted";
    gate.refuses(presenting(&pair), CERTIFICATE_UNKNOWN, reason)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_without_client_auth_ask_nobody() {
    let sidecar = Setup::in_front_of(answering(ANSWER).await).start();
    let pair = TestPki::new(Algorithm::EcdsaP256).client(&[uri(BATCH)]);
    let connected = presenting(&pair).connect(sidecar.address).await.unwrap();
    let finished = connected.exchange(REQUEST).await.unwrap();
    assert!(finished.answer.starts_with(b"HTTP/1.1 200 "));
    assert_eq!(finished.sessions.len(), 1);
    let (_, page) = sidecar.admin("/metrics").await;
    assert!(!page.contains("hybridge_client_certificate"), "{page}");
}
