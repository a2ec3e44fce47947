//! What the app is told of a client's certificate: ours only, whatever the client says.

use base64::Engine as _;
use bytes::Bytes;
use http::HeaderMap;
use hybridge::certgen::Algorithm;
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::net::SocketAddr;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use crate::support::http::{
    echo_app, h2_app, h2_request, h2_response, read_h2, read_response, send_h2,
};
use crate::support::pki::{Pair, TestPki, ca_params, client, uri};
use crate::support::{Setup, Sidecar, client_config, eventually, within};

const BATCH: &str = "spiffe://example.org/ns/ai/sa/batch";
const ADMIN: &str = "Hash=0;URI=spiffe://example.org/ns/ai/sa/admin";

/// A listener where a certificate is optional, and a client that has one.
async fn gate() -> (Sidecar, TestPki, TempDir) {
    gate_that_says("", echo_app().await, Algorithm::EcdsaP256)
}

fn gate_that_says(
    identity: &str,
    app: SocketAddr,
    algorithm: Algorithm,
) -> (Sidecar, TestPki, TempDir) {
    let clients = TestPki::new(algorithm);
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("clients.crt");
    std::fs::write(&ca, clients.ca_pem()).unwrap();
    let tls = format!(
        "client-auth = \"optional\"\nclient-ca = \"{}\"\nallow-uri = [\"{BATCH}\"]",
        ca.display()
    );
    let sidecar = Setup::in_front_of(app)
        .listener("forwarded = \"append\"")
        .listener(identity)
        .tls(&tls)
        .start();
    (sidecar, clients, dir)
}

/// With the certificate, and its fingerprint.
fn presenting(sidecar: &Sidecar, clients: &TestPki, alpn: &str) -> (ClientConfig, String) {
    let (config, chain) = presenting_pair(sidecar, &clients.client(&[uri(BATCH)]), alpn);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &chain[0]);
    let sha256: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    (config, sha256)
}

/// With the certificates of a pair, and those.
fn presenting_pair(
    sidecar: &Sidecar,
    pair: &Pair,
    alpn: &str,
) -> (ClientConfig, Vec<CertificateDer<'static>>) {
    let chain = CertificateDer::pem_slice_iter(pair.cert.as_bytes());
    let chain: Vec<_> = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let mut config = client_config(&sidecar.ca, &[alpn]);
    let certified = CertifiedKey::new(chain.clone(), key);
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
    (config, chain)
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
    let mut client = sender.ready().await.unwrap();
    let request = h2_request("POST", "/")
        .header("x-forwarded-client-cert", ADMIN)
        .header("x_forwarded_client_cert", ADMIN)
        .header("client-cert-chain", ":MAA=:");
    let (response, mut stream) = client
        .send_request(request.body(()).unwrap(), false)
        .unwrap();
    let sent = send_h2(&mut stream, Bytes::from_static(b"x"), false);
    within(sent).await.unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-forwarded-client-cert", ADMIN.parse().unwrap());
    trailers.insert("client_cert", ":MAA=:".parse().unwrap());
    stream.send_trailers(trailers).unwrap();
    let mut body = within(response).await.unwrap().into_body();
    let (body, _) = within(read_h2(&mut body)).await.unwrap();
    assert!(!body.is_empty());
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

#[tokio::test]
async fn where_nobody_is_asked_the_app_is_told_nothing() {
    let sidecar = Setup::in_front_of(echo_app().await).start();
    let http1 = client_config(&sidecar.ca, &["http/1.1"]);
    assert!(over_http1(&sidecar, http1).await.is_empty());
    let http2 = client_config(&sidecar.ca, &["h2"]);
    assert!(over_http2(&sidecar, http2).await.is_empty());
}

const CERTIFICATES: &str = "identity = [\"client-cert\", \"client-cert-chain\"]";

/// The fields of RFC 9440 for these certificates.
fn rfc_9440(chain: &[CertificateDer<'_>]) -> Vec<String> {
    let base64 = |der: &CertificateDer<'_>| base64::prelude::BASE64_STANDARD.encode(der);
    let mut fields = vec![format!("client-cert: :{}:", base64(&chain[0]))];
    if let [_, above @ ..] = chain
        && !above.is_empty()
    {
        let items: Vec<_> = above
            .iter()
            .map(|der| format!(":{}:", base64(der)))
            .collect();
        fields.push(format!("client-cert-chain: {}", items.join(", ")));
    }
    fields
}

#[tokio::test]
async fn the_certificate_is_told_on_request_and_its_chain() {
    for algorithm in [Algorithm::EcdsaP256, Algorithm::MlDsa65] {
        let app = echo_app().await;
        let (sidecar, clients, _dir) = gate_that_says(CERTIFICATES, app, algorithm);
        for pair in [
            clients.client(&[uri(BATCH)]),
            clients.chain_of(&ca_params("between"), &client(&[uri(BATCH)])),
        ] {
            let (config, chain) = presenting_pair(&sidecar, &pair, "http/1.1");
            assert_eq!(over_http1(&sidecar, config).await, rfc_9440(&chain));
            let (config, chain) = presenting_pair(&sidecar, &pair, "h2");
            assert_eq!(over_http2(&sidecar, config).await, rfc_9440(&chain));
        }
        let nobody = client_config(&sidecar.ca, &["http/1.1"]);
        assert!(over_http1(&sidecar, nobody).await.is_empty());
    }
}

#[tokio::test]
async fn an_upstream_of_http2_is_told_the_same() {
    let app = h2_app(|request, mut respond| async move {
        let lines: String = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()))
            .collect();
        let mut body = respond.send_response(h2_response(200), false).unwrap();
        send_h2(&mut body, lines.into(), true).await.unwrap();
    })
    .await;
    let identity =
        "upstream-http = \"http2\"\nidentity = [\"x-forwarded-client-cert\", \"client-cert\"]";
    let (sidecar, clients, _dir) = gate_that_says(identity, app, Algorithm::EcdsaP256);
    let pair = clients.client(&[uri(BATCH)]);
    let (config, chain) = presenting_pair(&sidecar, &pair, "h2");
    let told = over_http2(&sidecar, config).await;
    assert!(
        told[0].starts_with("x-forwarded-client-cert: Hash="),
        "{told:?}"
    );
    assert_eq!(told[1..], rfc_9440(&chain));
}

#[tokio::test]
async fn an_app_that_is_to_be_told_nothing_is_told_nothing() {
    let app = echo_app().await;
    let (sidecar, clients, _dir) = gate_that_says("identity = \"none\"", app, Algorithm::EcdsaP256);
    let (config, _) = presenting(&sidecar, &clients, "http/1.1");
    assert!(over_http1(&sidecar, config).await.is_empty());
    let (config, _) = presenting(&sidecar, &clients, "h2");
    assert!(over_http2(&sidecar, config).await.is_empty());
}

/// A ticket holds no certificate: where it is told, every handshake is a full one.
#[tokio::test]
async fn a_client_that_returns_shows_its_certificate_again() {
    let app = echo_app().await;
    let (sidecar, clients, _dir) = gate_that_says(CERTIFICATES, app, Algorithm::EcdsaP256);
    let pair = clients.client(&[uri(BATCH)]);
    let (config, chain) = presenting_pair(&sidecar, &pair, "http/1.1");
    for _ in 0..2 {
        assert_eq!(over_http1(&sidecar, config.clone()).await, rfc_9440(&chain));
    }
    let resumed = [("kind", "resumed")];
    let handshakes = "hybridge_handshakes_total";
    sidecar.metric_is(handshakes, &resumed, 0.0).await;
}

#[tokio::test]
async fn the_status_names_the_clients_that_are_connected_and_metrics_name_none() {
    let (sidecar, clients, _dir) = gate().await;
    let connected = async || {
        let (_, status) = sidecar.admin("/status").await;
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        status["listeners"][0]["client_auth"].clone()
    };
    assert_eq!(connected().await["peers"], 0);
    let (config, sha256) = presenting(&sidecar, &clients, "http/1.1");
    let mut open = Vec::new();
    for _ in 0..2 {
        open.push(sidecar.try_connect(config.clone()).await.unwrap());
    }
    open.push(sidecar.connect(&["http/1.1"]).await);
    let expected = serde_json::json!([
        {"peer": format!("{BATCH} sha256:{}", &sha256[..16]), "connections": 2},
    ]);
    eventually("both connections in the status", async || {
        connected().await["connected"] == expected
    })
    .await;
    assert_eq!(connected().await["peers"], 1);
    let (_, metrics) = sidecar.admin("/metrics").await;
    assert!(!metrics.contains("spiffe") && !metrics.contains(&sha256[..8]));
    drop(open);
    eventually("nobody in the status", async || {
        connected().await["peers"] == 0
    })
    .await;
}
