//! The client's count of handshake bytes is OpenSSL's, to the byte, for every group OpenSSL 3.6 and we share.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use crate::support::{Pki, endpoint};
use hybridge_loadtest::net::dial::{Dialer, Expect};
use hybridge_loadtest::tls::Group;
use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod, SslVersion};
use openssl::x509::X509;

/// A socket that counts what OpenSSL reads and writes.
#[derive(Debug)]
struct Counted {
    socket: TcpStream,
    read: u64,
    written: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.socket.read(buffer)?;
        self.read += read as u64;
        Ok(read)
    }
}

impl Write for Counted {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let written = self.socket.write(data)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.socket.flush()
    }
}

/// Accepts one connection with these groups; sends (read, written) when the handshake is done, tickets included.
fn openssl_server(pki: &Pki, groups: &str, tickets: usize) -> (SocketAddr, Receiver<(u64, u64)>) {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    builder
        .set_min_proto_version(Some(SslVersion::TLS1_3))
        .unwrap();
    builder.set_groups_list(groups).unwrap();
    builder.set_num_tickets(tickets).unwrap();
    builder
        .set_certificate(&X509::from_pem(pki.leaf_pem.as_bytes()).unwrap())
        .unwrap();
    builder
        .set_private_key(&PKey::private_key_from_pem(pki.key_pem.as_bytes()).unwrap())
        .unwrap();
    let acceptor = builder.build();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (report, reported) = channel();
    std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let mut stream = acceptor
            .accept(Counted {
                socket,
                read: 0,
                written: 0,
            })
            .unwrap();
        report
            .send((stream.get_ref().read, stream.get_ref().written))
            .unwrap();
        // The client's goodbye is answered, so that it ends in order.
        let mut rest = [0; 64];
        while stream.read(&mut rest).is_ok_and(|read| read > 0) {}
        stream.shutdown().ok();
    });
    (address, reported)
}

async fn counts_agree(group: Group, openssl_name: &str, tickets: usize) {
    let pki = Pki::new();
    let (address, reported) = openssl_server(&pki, openssl_name, tickets);
    let endpoint = endpoint("openssl", address, &pki, &[group]);
    let dialer = Dialer::new(&endpoint, vec![], false).unwrap();
    let mut dialed = dialer.dial(Expect::Full).await.unwrap();
    let dialed_bytes = dialed.stream.meter().read();
    dialed.stream.close().await.unwrap();
    let ours = dialed.stream.meter().read();
    let (read, written) = reported.recv().unwrap();
    assert_eq!(ours.handshake_up, read, "{group}: bytes up");
    assert_eq!(
        ours.handshake_down + ours.tickets,
        written,
        "{group}: bytes down"
    );
    assert_eq!(
        ours.tickets > 0,
        tickets > 0,
        "{group}: tickets are told apart"
    );
    assert_eq!(
        ours.handshake_up, dialed_bytes.handshake_up,
        "{group}: counted when established"
    );
}

#[tokio::test]
async fn every_group_is_counted_as_openssl_counts_it() {
    for (group, name) in [
        (Group::X25519, "X25519"),
        (Group::SECP256R1, "P-256"),
        (Group::SECP384R1, "P-384"),
        (Group::X25519MLKEM768, "X25519MLKEM768"),
        (Group::SECP256R1MLKEM768, "SecP256r1MLKEM768"),
        (Group::SECP384R1MLKEM1024, "SecP384r1MLKEM1024"),
    ] {
        counts_agree(group, name, 0).await;
    }
}

#[tokio::test]
async fn session_tickets_are_counted_apart_from_the_handshake() {
    counts_agree(Group::X25519MLKEM768, "X25519MLKEM768", 2).await;
}

#[tokio::test]
async fn a_hello_retry_is_counted_with_both_hellos() {
    let pki = Pki::new();
    let (address, reported) = openssl_server(&pki, "X25519MLKEM768", 0);
    let mut endpoint = endpoint(
        "openssl",
        address,
        &pki,
        &[Group::X25519, Group::X25519MLKEM768],
    );
    let tls = std::sync::Arc::get_mut(&mut endpoint)
        .unwrap()
        .tls
        .as_mut()
        .unwrap();
    tls.expect = Group::X25519MLKEM768;
    let dialer = Dialer::new(&endpoint, vec![], false).unwrap();
    let mut dialed = dialer.dial(Expect::HelloRetry).await.unwrap();
    let bytes = dialed.stream.meter().read();
    dialed.stream.close().await.unwrap();
    assert_eq!(
        reported.recv().unwrap(),
        (bytes.handshake_up, bytes.handshake_down)
    );
}
