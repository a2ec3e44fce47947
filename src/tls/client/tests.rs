//! Against a rustls server in memory: what leaves when, and what a verified certificate saves and what not.
#![allow(clippy::unwrap_used)]

mod records;

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use prometheus::IntCounter;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedKey as Made, GeneralSubtree, IsCa, Issuer,
    KeyPair, NameConstraints, generate_simple_self_signed,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tokio_rustls::{TlsAcceptor, server};

use super::*;
use crate::tls::handshake::Session;
use crate::tls::identity::Rules;
use crate::tls::policy::{Mode, TlsPolicy, VERSIONS};
use crate::tls::stream::TlsStream;

/// A pipe that keeps the length of each write.
struct Noted {
    pipe: DuplexStream,
    writes: Arc<Mutex<Vec<usize>>>,
}

impl AsyncRead for Noted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_read(cx, buf)
    }
}

impl AsyncWrite for Noted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.pipe).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = &polled {
            self.writes.lock().unwrap().push(*count);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// A server that shows this certificate and signs with this key, whether or not they belong together.
fn shows(certificate: &CertificateDer<'static>, key: &KeyPair) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let shown = CertifiedKey::new(vec![certificate.clone()], key);
    let provider = Arc::new(rustls_post_quantum::provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(VERSIONS)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Shows(Arc::new(shown))));
    TlsAcceptor::from(Arc::new(config))
}

/// A client that trusts this certificate.
fn trusts(made: &Made<KeyPair>) -> ClientTls {
    trusting(&made.cert.pem(), false)
}

fn trusting(cas: &str, resumption: bool) -> ClientTls {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.crt");
    std::fs::write(&ca, cas).unwrap();
    ClientTls::load(&Settings {
        policy: TlsPolicy::new(Mode::HybridRequired, None, None).unwrap(),
        ca: CaSource::File(ca),
        peer_ids: Rules::default(),
        pair: None,
        alpn: Vec::new(),
        resumption,
        handshake_timeout: Duration::from_secs(10),
    })
    .unwrap()
}

fn counters() -> Counters {
    Counters::of(|| IntCounter::new("count", "count").unwrap())
}

type Ours = Result<(TlsStream<Noted>, Session), Box<Failure>>;
type Theirs = server::TlsStream<DuplexStream>;

/// A handshake up to our Finished, and a server that waits for it.
async fn begun(
    client: &ClientTls,
    acceptor: &TlsAcceptor,
) -> (
    Ours,
    tokio::task::JoinHandle<io::Result<Theirs>>,
    Arc<Mutex<Vec<usize>>>,
) {
    let (near, far) = duplex(1 << 16);
    let writes = Arc::new(Mutex::new(Vec::new()));
    let noted = Noted {
        pipe: near,
        writes: Arc::clone(&writes),
    };
    let theirs = tokio::spawn(acceptor.accept(far));
    let name = ServerName::try_from("localhost").unwrap();
    let ours = connect(noted, client.peer("localhost:443", name, None), counters()).await;
    (ours, theirs, writes)
}

#[tokio::test]
async fn the_end_of_a_handshake_is_one_write_with_the_first_data() {
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (client, server) = (trusts(&made), shows(made.cert.der(), &made.signing_key));
    let (ours, theirs, writes) = begun(&client, &server).await;
    let (mut ours, session) = ours.unwrap();
    assert_eq!(writes.lock().unwrap().len(), 1, "only the hello");
    ours.write_all(b"ping").await.unwrap();
    let sent = writes.lock().unwrap().clone();
    assert_eq!(sent.len(), 2, "change_cipher_spec, Finished and the data");
    let mut received = [0; 4];
    let mut theirs = theirs.await.unwrap().unwrap();
    theirs.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"ping");
    // The handshake counts its bytes, the stream the others.
    let wire = ours.traffic().totals().wire_out;
    assert_eq!(wire, 4 + 22);
    assert_eq!(
        session.cost.bytes_out + wire,
        sent.iter().sum::<usize>() as u64
    );
}

#[tokio::test]
async fn the_end_of_a_handshake_does_not_wait_for_data() {
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (client, server) = (trusts(&made), shows(made.cert.der(), &made.signing_key));
    for flush in [true, false] {
        let (ours, theirs, writes) = begun(&client, &server).await;
        let (mut ours, session) = ours.unwrap();
        // A server that speaks first is read, or the app has nothing to say yet.
        let server = async {
            let mut theirs = theirs.await.unwrap().unwrap();
            theirs.write_all(b"hello").await.unwrap();
            theirs.flush().await.unwrap();
            theirs
        };
        let mut received = [0; 5];
        let read = async {
            if flush {
                ours.flush().await.unwrap();
            }
            ours.read_exact(&mut received).await.unwrap();
        };
        let (_theirs, ()) = tokio::join!(server, read);
        assert_eq!(&received, b"hello");
        assert_eq!(ours.traffic().totals().wire_out, 0);
        let sent = writes.lock().unwrap().iter().sum::<usize>() as u64;
        assert_eq!(session.cost.bytes_out, sent);
    }
}

/// What was verified before is the certificate. Who has its key is another matter, each time.
#[tokio::test]
async fn a_certificate_that_was_verified_is_of_no_use_without_its_key() {
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let client = trusts(&made);
    let (ours, ..) = begun(&client, &shows(made.cert.der(), &made.signing_key)).await;
    let first = ours.unwrap().1;
    let name = ServerName::try_from("localhost").unwrap();
    let peer = client.peer("localhost:443", name.clone(), None);
    let now = sessions::now();
    assert!(peer.with.verified.holds(made.cert.der(), &[], &name, now));
    let (ours, ..) = begun(&client, &shows(made.cert.der(), &made.signing_key)).await;
    assert_eq!(ours.unwrap().1.peer, first.peer, "the evidence is the same");
    let other = KeyPair::generate().unwrap();
    let (ours, ..) = begun(&client, &shows(made.cert.der(), &other)).await;
    let error = ours.map(|_| ()).unwrap_err().error;
    assert_eq!(error.reason(), "server_untrusted", "{error}");
    // Another certificate is another matter too, and so is another name; another target of the name is not.
    let stranger = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (ours, ..) = begun(&client, &shows(stranger.cert.der(), &stranger.signing_key)).await;
    let error = ours.map(|_| ()).unwrap_err().error;
    assert_eq!(error.reason(), "server_untrusted", "{error}");
    let elsewhere = client.peer("localhost:444", name.clone(), None);
    let verified = elsewhere.with.verified;
    assert!(verified.holds(made.cert.der(), &[], &name, now));
    let other = ServerName::try_from("other.example.org").unwrap();
    assert!(!verified.holds(made.cert.der(), &[], &other, now));
}

/// Two servers behind one target: the tickets of each count as long as its own certificate.
#[tokio::test]
async fn each_ticket_ends_with_the_certificate_of_its_own_server() {
    let made = |end: i64| {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = OffsetDateTime::from_unix_timestamp(end).unwrap();
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap(), key)
    };
    let now = sessions::now();
    let ends = [now + 3600, now + 7200];
    let servers = ends.map(made);
    let cas: String = servers.iter().map(|(cert, _)| cert.pem()).collect();
    let client = trusting(&cas, true);
    let mut received = [0; 4];
    // The connections overlap: the ticket of the first comes when the second is already verified.
    let mut open = Vec::new();
    for (cert, key) in &servers {
        let (ours, theirs, _) = begun(&client, &shows(cert.der(), key)).await;
        let mut ours = ours.unwrap().0;
        ours.flush().await.unwrap();
        open.push((ours, theirs.await.unwrap().unwrap()));
    }
    for (ours, theirs) in &mut open {
        theirs.write_all(b"ping").await.unwrap();
        theirs.flush().await.unwrap();
        ours.read_exact(&mut received).await.unwrap();
    }
    let name = ServerName::try_from("localhost").unwrap();
    let peer = client.peer("localhost:443", name, None);
    let mut kept = peer.with.sessions.unwrap().ends();
    kept.dedup();
    assert_eq!(kept, ends);
}

/// webpki has cases that rustls has none for, and both print their names.
#[tokio::test]
async fn why_a_certificate_is_not_verified_is_said_in_words() {
    let ended = OffsetDateTime::from_unix_timestamp(1_600_000_000).unwrap();
    let issue = |constraint: Option<&str>, names: &[&str], not_after: Option<OffsetDateTime>| {
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.name_constraints = constraint.map(|name| NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName(name.to_owned())],
            excluded_subtrees: Vec::new(),
        });
        let key = KeyPair::generate().unwrap();
        let pem = ca.self_signed(&key).unwrap().pem();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = not_after.unwrap_or(params.not_after);
        let own = KeyPair::generate().unwrap();
        let cert = params.signed_by(&own, &Issuer::new(ca, key)).unwrap();
        (pem, cert, own)
    };
    let (_, stranger, key) = issue(None, &["localhost"], None);
    let (other, ..) = issue(Some("example.org"), &["localhost"], None);
    // The same name with a key of another algorithm, as a renewal may have it.
    let mut renewed = CertificateParams::default();
    renewed.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let renewed = renewed.self_signed(&ed25519).unwrap().pem();
    let (_, former, of_former) = issue(None, &["localhost"], None);
    for ((cas, cert, key), says) in [
        (
            (renewed, former, of_former),
            "the server's certificate cannot be verified with `ca`: no CA there certifies it",
        ),
        (
            (other, stranger, key),
            "the server's certificate cannot be verified with `ca`: no CA there certifies it",
        ),
        (
            issue(Some("example.org"), &["localhost"], None),
            "the server's certificate cannot be verified with `ca`: its names are not among those that a CA above it may certify (name constraints; those on URIs cannot be verified and admit none)",
        ),
        (
            issue(None, &["a.example"], None),
            "the server's certificate is for another name: it is for `a.example`, and `localhost` is wanted; set server-name if that is the one",
        ),
        (
            issue(None, &["localhost"], Some(ended)),
            "the server's certificate has expired at 2020-09-13T12:26:40Z: renew it there",
        ),
    ] {
        let client = trusting(&cas, false);
        let (ours, ..) = begun(&client, &shows(cert.der(), &key)).await;
        assert_eq!(ours.map(|_| ()).unwrap_err().error.to_string(), says);
    }
}
