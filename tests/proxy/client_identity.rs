//! What the app is told of a client's certificate: ours alone, whatever the client says.

use bytes::Bytes;
use hybridge::certgen::Algorithm;
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use crate::support::http::{echo_app, h2_exchange, h2_request, read_response};
use crate::support::pki::{TestPki, uri};
use crate::support::{Setup, Sidecar, client_config, within};

const BATCH: &str = "spiffe://example.org/ns/ai/sa/batch";
const ADMIN: &str = "Hash=0;URI=spiffe://example.org/ns/ai/sa/admin";

/// A listener where a certificate is optional, and a client that has one.
async fn gate() -> (Sidecar, TestPki, TempDir) {
    let clients = TestPki::new(Algorithm::EcdsaP256);
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("clients.crt");
    std::fs::write(&ca, clients.ca_pem()).unwrap();
    let tls = format!(
        "client-auth = \"optional\"\nclient-ca = \"{}\"\nallow-uri = [\"{BATCH}\"]",
        ca.display()
    );
    let sidecar = Setup::in_front_of(echo_app().await)
        .listener("forwarded = \"append\"")
        .tls(&tls)
        .start();
    (sidecar, clients, dir)
}

/// With the certificate, and its fingerprint.
fn presenting(sidecar: &Sidecar, clients: &TestPki, alpn: &str) -> (ClientConfig, String) {
    let pair = clients.client(&[uri(BATCH)]);
    let leaf = CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &leaf);
    let sha256: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let mut config = client_config(&sidecar.ca, &[alpn]);
    let certified = CertifiedKey::new(vec![leaf], key);
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
    (config, sha256)
}

/// Every line about certificates.
fn told(seen: &[u8]) -> Vec<String> {
    let seen = String::from_utf8(seen.to_vec()).unwrap();
    let about = |line: &&str| {
        let line = line.to_ascii_lowercase().replace('_', "-");
        line.contains("client-cert")
    };
    seen.lines().filter(about).map(str::to_owned).collect()
}

async fn over_http1(sidecar: &Sidecar, config: ClientConfig) -> Vec<String> {
    let mut stream = sidecar.try_connect(config).await.unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: a\r\nconnection: x-forwarded-client-cert\r\nx-forwarded-client-cert: {ADMIN}\r\nX_Forwarded_Client_Cert: {ADMIN}\r\nClient-Cert: :MAA=:\r\ntransfer-encoding: chunked\r\ntrailer: x-forwarded-client-cert\r\n\r\n1\r\nx\r\n0\r\nX-Forwarded-Client-Cert: {ADMIN}\r\nclient_cert: :MAA=:\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = within(read_response(&mut stream, false)).await.unwrap();
    told(&answer.body)
        .into_iter()
        .filter(|line| !line.starts_with("trailer:"))
        .collect()
}

async fn over_http2(sidecar: &Sidecar, config: ClientConfig) -> Vec<String> {
    let stream = sidecar.try_connect(config).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let client = sender.ready().await.unwrap();
    let request = h2_request("GET", "/")
        .header("x-forwarded-client-cert", ADMIN)
        .header("x_forwarded_client_cert", ADMIN)
        .header("client-cert-chain", ":MAA=:");
    let request = request.body(()).unwrap();
    let (_, body, _) = within(h2_exchange(&client, request, Bytes::new()))
        .await
        .unwrap();
    told(&body)
}

#[tokio::test]
async fn the_app_is_told_whose_certificate_was_verified_and_nothing_the_client_says() {
    let (sidecar, clients, _dir) = gate().await;
    let expected = |sha256: &str| {
        format!("x-forwarded-client-cert: Hash={sha256};URI={BATCH};Subject=\"CN=client\"")
    };
    let (config, sha256) = presenting(&sidecar, &clients, "http/1.1");
    assert_eq!(over_http1(&sidecar, config).await, [expected(&sha256)]);
    let (config, sha256) = presenting(&sidecar, &clients, "h2");
    assert_eq!(over_http2(&sidecar, config).await, [expected(&sha256)]);
}

#[tokio::test]
async fn of_a_client_without_a_certificate_the_app_is_told_nothing() {
    let (sidecar, ..) = gate().await;
    let http1 = client_config(&sidecar.ca, &["http/1.1"]);
    assert!(over_http1(&sidecar, http1).await.is_empty());
    let http2 = client_config(&sidecar.ca, &["h2"]);
    assert!(over_http2(&sidecar, http2).await.is_empty());
}
