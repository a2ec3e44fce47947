//! Early data of a client that has a ticket of the server that was here before (RFC 8446 §4.2.10).

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ServerSessionMemoryCache;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ServerConfig, ServerConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::handshake_failures::{FAILED, sidecar};
use crate::support::{Sidecar, client_config, within};

/// What other servers allow by default.
const ALLOWED: u32 = 16_384;

/// A server of the same certificate that takes early data.
fn former_server(sidecar: &Sidecar) -> Arc<ServerConfig> {
    let file = |name| sidecar.dir.path().join(name);
    let chain = CertificateDer::pem_file_iter(file("tls.crt")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("tls.key")).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls_post_quantum::provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    config.max_early_data_size = ALLOWED;
    config.session_storage = ServerSessionMemoryCache::new(8);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.into()
}

fn client(config: &Arc<ClientConfig>) -> ClientConnection {
    ClientConnection::new(Arc::clone(config), "localhost".try_into().unwrap()).unwrap()
}

/// Lets the client fetch a ticket.
fn visit(config: &Arc<ClientConfig>, server: Arc<ServerConfig>) {
    let mut client = client(config);
    let mut server = ServerConnection::new(server).unwrap();
    for _ in 0..4 {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut &bytes[..]).unwrap();
        server.process_new_packets().unwrap();
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut bytes = &bytes[..];
        while !bytes.is_empty() {
            client.read_tls(&mut bytes).unwrap();
        }
        client.process_new_packets().unwrap();
    }
    assert!(!client.is_handshaking());
}

/// The whole flight in pieces of `piece` bytes each, early data in one record or in many.
#[tokio::test(flavor = "multi_thread")]
async fn early_data_for_another_server_is_skipped_and_the_request_served() {
    for (early, pieces) in [(100, 1), (ALLOWED, 1), (ALLOWED, 8), (0, 0)] {
        let sidecar = sidecar("").await;
        let mut config = client_config(&sidecar.ca, &["http/1.1"]);
        config.enable_early_data = true;
        let config = Arc::new(config);
        visit(&config, former_server(&sidecar));

        let mut tls = client(&config);
        let mut stream = TcpStream::connect(sidecar.address).await.unwrap();
        for _ in 0..pieces {
            let piece = vec![b'x'; early as usize / pieces];
            // A record of its own.
            let mut writer = tls.early_data().expect("the ticket allows it");
            assert_eq!(writer.write(&piece).unwrap(), piece.len());
            send(&mut tls, &mut stream).await;
        }
        while tls.is_handshaking() {
            send(&mut tls, &mut stream).await;
            if tls.is_handshaking() {
                receive(&mut tls, &mut stream).await;
            }
        }
        assert!(!tls.is_early_data_accepted());
        assert_eq!(tls.handshake_kind(), Some(HandshakeKind::Full));
        let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        tls.writer().write_all(request).unwrap();
        send(&mut tls, &mut stream).await;
        let mut answer = [0; 17];
        while tls.reader().read_exact(&mut answer).is_err() {
            receive(&mut tls, &mut stream).await;
        }
        assert_eq!(&answer, b"HTTP/1.1 200 OK\r\n");
        assert_eq!(sidecar.metric(FAILED, &[]).await, 0.0);
    }
}

async fn send(tls: &mut ClientConnection, stream: &mut TcpStream) {
    let mut bytes = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut bytes).unwrap();
    }
    stream.write_all(&bytes).await.unwrap();
}

async fn receive(tls: &mut ClientConnection, stream: &mut TcpStream) {
    let mut buffer = [0; 4096];
    let count = within(stream.read(&mut buffer)).await.unwrap();
    assert!(count > 0, "closed");
    let mut bytes = &buffer[..count];
    while !bytes.is_empty() {
        tls.read_tls(&mut bytes).unwrap();
    }
    tls.process_new_packets().unwrap();
}
