#![allow(clippy::unwrap_used)]
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;

fn ca() -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::default();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.self_signed(&key).unwrap().der().to_vec()
}

fn read(ders: &[&[u8]], sent: usize) -> (Certificates, Vec<String>) {
    let seen = Seen {
        ders: ders.iter().map(|der| der.to_vec()).collect(),
        sent,
        ..Seen::default()
    };
    let (mut found, mut notes) = (Certificates::default(), Vec::new());
    found.read_chain(&seen, &mut notes);
    (found, notes)
}

#[test]
fn no_other_certificate_stands_where_the_leaf_cannot_be_read() {
    let ca = ca();
    let (found, notes) = read(&[b"no DER", &ca], 2);
    assert_eq!((found.leaf(), found.chain.len()), (None, 0));
    assert_eq!(found.unreadable, [Place::Leaf]);
    let said = "the server's certificate cannot be read: 6 bytes with SHA-256 ";
    assert!(notes[0].starts_with(said), "{notes:?}");
}

#[test]
fn what_is_left_out_of_a_chain_is_said() {
    let ca = ca();
    let (found, notes) = read(&[&ca, b"x", &ca, b"y"], 40);
    assert_eq!(found.chain.len(), 2);
    assert_eq!(found.unreadable, [Place::Issuer]);
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert!(notes[0].starts_with("a certificate behind the server's cannot be read: 1 bytes"));
    assert_eq!(
        notes[2],
        "the server sent 40 certificates, of which 16 were looked at"
    );
    assert_eq!(read(&[&ca], 1).1.len(), 0);
}

/// What is done with a hello that offers only ML-DSA.
#[derive(Clone, Copy, Debug)]
enum MlDsaOnly {
    /// The server's own answer: an alert.
    Served,
    Swallowed,
    Closed,
}

/// Whether the signature schemes of the hello in a record are those of ML-DSA, 0x0904 to 0x0906.
fn is_ml_dsa_only(record: &[u8]) -> bool {
    let list = [0, 13, 0, 8, 0, 6, 9, 4, 9, 5, 9, 6];
    record.windows(list.len()).any(|bytes| bytes == list)
}

/// Where a server with an ECDSA certificate listens, behind such a path.
fn behind(path: MlDsaOnly) -> std::net::SocketAddr {
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = signed.signing_key.serialize_der().try_into().unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move |stream: TcpStream| {
        let mut seen = [0; 4096];
        // The whole of a small hello.
        let begun = Instant::now();
        while stream.peek(&mut seen).unwrap_or(0) < 5 && begun.elapsed() < Duration::from_secs(5) {}
        let count = stream.peek(&mut seen).unwrap_or(0);
        match path {
            MlDsaOnly::Swallowed if is_ml_dsa_only(&seen[..count]) => {
                std::thread::sleep(Duration::from_secs(3));
            }
            MlDsaOnly::Closed if is_ml_dsa_only(&seen[..count]) => {}
            _ => {
                let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(tls, stream);
                let _ = stream.flush();
                let _ = stream.read(&mut [0; 1]);
            }
        }
    };
    std::thread::spawn(move || listener.incoming().flatten().for_each(serve));
    address
}

/// An answer that does not arrive was taken as "no".
#[test]
fn only_the_servers_words_say_that_it_has_no_ml_dsa() {
    for (path, why) in [
        (MlDsaOnly::Served, None),
        (
            MlDsaOnly::Swallowed,
            Some("the handshake is not complete within the timeout"),
        ),
        (MlDsaOnly::Closed, Some("")),
    ] {
        let address = behind(path);
        let dial = Dial {
            address,
            timeout: Duration::from_secs(1),
            others: 0,
        };
        let target: Target = address.to_string().parse().unwrap();
        let mut notes = Vec::new();
        let known = [("X25519", kx_group::X25519)];
        let found = collect(&target, dial, &[0x1d], &known, &mut notes);
        assert_eq!(found.chain.len(), 1, "{path:?}: {notes:?}");
        assert!(found.ml_dsa.is_none());
        assert_eq!(
            found.may_have(Place::MlDsa),
            why.is_some(),
            "{path:?}: {notes:?}"
        );
        assert_eq!(
            notes.len(),
            usize::from(why.is_some()),
            "{path:?}: {notes:?}"
        );
        for note in notes {
            let said = "the server's certificate for clients with ML-DSA only is not known: ";
            assert!(note.starts_with(said), "{note}");
            assert!(note.ends_with(why.unwrap_or_default()), "{note}");
        }
    }
}
