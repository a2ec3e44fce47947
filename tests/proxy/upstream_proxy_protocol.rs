//! What an upstream of `protocol = "tcp"` is told of a client before its first byte.

use std::net::SocketAddr;

use hybridge::certgen::Algorithm;
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::pki::{TestPki, uri};
use crate::support::proxy_protocol::{version_1, version_2};
use crate::support::{Setup, Sidecar, client_config, upstream, within};

const BATCH: &str = "spiffe://example.org/ns/ai/sa/batch";

/// An app that sends back everything that it receives, and says who it is first.
async fn echo() -> SocketAddr {
    upstream(|mut stream| async move {
        stream.write_all(b"220 ").await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    })
    .await
}

async fn tcp(more: &str) -> Setup {
    Setup::in_front_of(echo().await).listener(&format!("protocol = \"tcp\"\n{more}"))
}

/// What the app received before `hello`.
async fn received(stream: TcpStream, config: ClientConfig) -> Vec<u8> {
    let name = "localhost".try_into().unwrap();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let mut stream = within(connecting).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    within(stream.read_to_end(&mut answer)).await.unwrap();
    let answer = answer.strip_prefix(b"220 ").unwrap();
    answer.strip_suffix(b"hello").unwrap().to_vec()
}

/// The same over a new connection, and the port of the client.
async fn of_a_client(sidecar: &Sidecar, config: ClientConfig) -> (Vec<u8>, u16) {
    let stream = TcpStream::connect(sidecar.address).await.unwrap();
    let port = stream.local_addr().unwrap().port();
    (received(stream, config).await, port)
}

fn anybody(sidecar: &Sidecar) -> ClientConfig {
    client_config(&sidecar.ca, &[])
}

/// A header of version 2 of one IPv4 client and the listener, followed by these TLVs.
fn binary(sidecar: &Sidecar, client: u16, tlvs: &[u8]) -> Vec<u8> {
    let (client, server) = (client.to_be_bytes(), sidecar.address.port().to_be_bytes());
    let addresses = [&[127, 0, 0, 1, 127, 0, 0, 1][..], &client, &server, tlvs].concat();
    crate::support::proxy_protocol::binary(0x21, 0x11, &addresses)
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[kind], &length[..], value].concat()
}

/// What is said of TLS 1.3 with the default suite of the test's CPU and of a client that is `verified`.
fn tls(flags: u8, verify: u8, suite: &[u8], name: Option<&str>) -> Vec<u8> {
    let mut ssl = vec![flags, 0, 0, 0, verify];
    ssl.extend(tlv(0x21, b"TLSv1.3"));
    ssl.extend(tlv(0x23, suite));
    ssl.extend(tlv(0x26, b"X25519MLKEM768"));
    ssl.extend(
        name.map(|name| tlv(0x22, name.as_bytes()))
            .unwrap_or_default(),
    );
    [tlv(0x02, b"localhost"), tlv(0x20, &ssl)].concat()
}

const SUITE: &str = "cipher-suites = [\"TLS_AES_256_GCM_SHA384\"]";

#[tokio::test]
async fn without_the_setting_the_first_byte_is_the_clients() {
    let sidecar = tcp("").await.start();
    let (told, _) = of_a_client(&sidecar, anybody(&sidecar)).await;
    assert!(told.is_empty(), "{}", told.escape_ascii());
}

#[tokio::test]
async fn both_versions_name_the_client_and_the_listener() {
    let sidecar = tcp("upstream-proxy-protocol = \"v1\"").await.start();
    let (told, client) = of_a_client(&sidecar, anybody(&sidecar)).await;
    let listener = sidecar.address.port();
    let line = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {client} {listener}\r\n");
    assert_eq!(told, line.as_bytes(), "{}", told.escape_ascii());
    let sidecar = tcp("upstream-proxy-protocol = \"v2\"").await.start();
    let (told, client) = of_a_client(&sidecar, anybody(&sidecar)).await;
    let expected = binary(&sidecar, client, &[]);
    assert_eq!(told, expected, "{}", told.escape_ascii());
}

#[tokio::test]
async fn the_facts_of_tls_go_along() {
    let sidecar = tcp("upstream-proxy-protocol = \"v2-tls\"")
        .await
        .tls(SUITE)
        .start();
    let (told, client) = of_a_client(&sidecar, anybody(&sidecar)).await;
    let facts = tls(0x01, 1, b"TLS_AES_256_GCM_SHA384", None);
    let expected = binary(&sidecar, client, &facts);
    assert_eq!(told, expected, "{}", told.escape_ascii());
}

/// A listener that says who its clients are, and one of them.
fn gate(setup: Setup, dir: &TempDir) -> (Sidecar, ClientConfig) {
    let clients = TestPki::new(Algorithm::EcdsaP256);
    let ca = dir.path().join("clients.crt");
    std::fs::write(&ca, clients.ca_pem()).unwrap();
    let auth = format!(
        "client-auth = \"optional\"\nclient-ca = \"{}\"\nallow-any = true\n{SUITE}",
        ca.display()
    );
    let sidecar = setup.tls(&auth).start();
    let pair = clients.client(&[uri(BATCH)]);
    let leaf = CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let certified = CertifiedKey::new(vec![leaf], key);
    let mut config = anybody(&sidecar);
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
    (sidecar, config)
}

#[tokio::test]
async fn the_identity_goes_along_where_it_was_verified() {
    let dir = tempfile::tempdir().unwrap();
    let (sidecar, batch) = gate(tcp("upstream-proxy-protocol = \"v2-identity\"").await, &dir);
    let suite = b"TLS_AES_256_GCM_SHA384";
    let (told, client) = of_a_client(&sidecar, batch).await;
    let facts = [
        tls(0x07, 0, suite, Some("client")),
        tlv(0xe0, BATCH.as_bytes()),
    ]
    .concat();
    let expected = binary(&sidecar, client, &facts);
    assert_eq!(told, expected, "{}", told.escape_ascii());
    let (told, client) = of_a_client(&sidecar, anybody(&sidecar)).await;
    let expected = binary(&sidecar, client, &tls(0x01, 1, suite, None));
    assert_eq!(told, expected, "{}", told.escape_ascii());
}

#[tokio::test]
async fn the_facts_alone_name_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (sidecar, batch) = gate(tcp("upstream-proxy-protocol = \"v2-tls\"").await, &dir);
    let (told, client) = of_a_client(&sidecar, batch).await;
    let facts = tls(0x07, 0, b"TLS_AES_256_GCM_SHA384", None);
    assert_eq!(
        told,
        binary(&sidecar, client, &facts),
        "{}",
        told.escape_ascii()
    );
}

/// Both ends that the proxy in front names; the client's own header is its data.
#[tokio::test]
async fn the_client_that_a_proxy_in_front_names_is_named() {
    let from = "upstream-proxy-protocol = \"v1\"\nproxy-protocol-from = [\"127.0.0.1\"]";
    let sidecar = tcp(from).await.start();
    for header in [version_1("192.0.2.7:5000"), version_2("192.0.2.7:5000")] {
        let mut stream = TcpStream::connect(sidecar.address).await.unwrap();
        stream.write_all(&header).await.unwrap();
        let told = received(stream, anybody(&sidecar)).await;
        assert_eq!(told, version_1("192.0.2.7:5000"), "{}", told.escape_ascii());
    }
}
