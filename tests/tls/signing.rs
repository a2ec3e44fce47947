//! A key that signs elsewhere and takes its time: its own handshakes wait on threads of their own, and end
//! with an alert; the worker goes on. The token is a double, so that it can hang.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use hybridge::certgen::Algorithm;
use hybridge::tls::Settings;
use hybridge::tls::error::HandshakeError;
use hybridge::tls::handshake::{Client, Session, accept};
use hybridge::tls::policy::{Mode, Profile, TlsPolicy};
use hybridge::tls::reload::CredentialStore;
use hybridge::tls::server::TlsServer;
use hybridge::tls::signing::SigningThreads;
use rustls::server::ResolvesServerCert;
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{Error, OtherError, SignatureAlgorithm, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::support::hello::{alert, hybrid};
use crate::support::pki::TestPki;
use crate::support::{traffic_counters, within};

const INTERNAL_ERROR: u8 = 80;

/// Signs once it is let go; fails if it is given up.
#[derive(Clone, Debug)]
struct Held(Arc<dyn SigningKey>, Arc<Mutex<Receiver<()>>>);

impl SigningKey for Held {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let signer = self.0.choose_scheme(offered)?;
        Some(Box::new(HeldSigner(signer, Arc::clone(&self.1))))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

#[derive(Debug)]
struct HeldSigner(Box<dyn Signer>, Arc<Mutex<Receiver<()>>>);

impl Signer for HeldSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let gone = |_| Error::Other(OtherError(Arc::new(std::io::Error::other("no device"))));
        self.1.lock().unwrap().recv().map_err(gone)?;
        self.0.sign(message)
    }

    fn scheme(&self) -> SignatureScheme {
        self.0.scheme()
    }
}

/// A server whose key is held, one whose key is not, and what lets a signature go.
fn servers(timeout: Duration) -> (TlsServer, TlsServer, Sender<()>) {
    let dir = tempfile::tempdir().unwrap();
    let leaf = TestPki::new(Algorithm::EcdsaP256).leaf(&["localhost"]);
    let files = leaf.write_to(dir.path());
    let store = Arc::new(CredentialStore::load(&files.cert, &files.key).unwrap());
    let pair = store.current().unwrap().certified_key();
    let (release, held) = channel();
    let held = Held(Arc::clone(&pair.key), Arc::new(Mutex::new(held)));
    let held = CertifiedKey::new(pair.cert.clone(), Arc::new(held));
    let held = SingleCertAndKey::from(held);
    let settings = Settings {
        policy: TlsPolicy::new(Mode::HybridRequired, None, None).unwrap(),
        cert: files.cert,
        key: files.key,
        certificates: hybridge::tls::certificates::Settings::default(),
        wait_for_certificate: false,
        handshake_timeout: Duration::from_mins(1),
        max_handshakes: 8,
        handshake_rate_per_source: None,
        tickets: 0,
        ticket_keys: None,
        client_auth: None,
        spiffe: None,
        spiffe_hint: None,
        profile: Profile::Off,
    };
    let server = |resolver: Arc<dyn ResolvesServerCert>| {
        TlsServer::new(&settings, &resolver, None, &[]).unwrap()
    };
    let threads = SigningThreads::start(2, 8, timeout).unwrap();
    let slow = server(Arc::new(held)).with_signing(Some(threads));
    (slow, server(store), release)
}

/// Says hello; the server's side as a task of this thread.
async fn greet(
    server: &Arc<TlsServer>,
) -> (
    DuplexStream,
    tokio::task::JoinHandle<Result<Session, HandshakeError>>,
) {
    let (mut near, far) = tokio::io::duplex(1 << 16);
    near.write_all(&hybrid()).await.unwrap();
    let server = Arc::clone(server);
    let task = tokio::spawn(async move {
        let queue = server.queue(1, Arc::new(|| {}));
        let client = Client::new([127, 0, 0, 1].into());
        let accepted = accept(far, client, &server, &queue, traffic_counters()).await;
        accepted
            .map(|(_, session)| session)
            .map_err(|failure| failure.error)
    });
    (near, task)
}

/// The first bytes of the server's answer.
async fn first(near: &mut DuplexStream) -> [u8; 7] {
    let mut first = [0; 7];
    within(near.read_exact(&mut first)).await.unwrap();
    first
}

const SERVER_HELLO: [u8; 3] = [22, 3, 3];

/// One thread serves both listeners, as a worker does.
#[tokio::test]
async fn while_a_token_hangs_the_worker_serves_others() {
    let (slow, fast, release) = servers(Duration::from_mins(1));
    let (slow, fast) = (Arc::new(slow), Arc::new(fast));
    let (mut waiting, _) = greet(&slow).await;
    for _ in 0..10 {
        let (mut near, _) = greet(&fast).await;
        assert_eq!(first(&mut near).await[..3], SERVER_HELLO);
    }
    let mut nothing = [0];
    let early = tokio::time::timeout(Duration::from_millis(50), waiting.read(&mut nothing)).await;
    assert!(early.is_err(), "answered without a signature");
    release.send(()).unwrap();
    assert_eq!(first(&mut waiting).await[..3], SERVER_HELLO);
}

/// Prints how long others wait for their flight while a token answers, and while it hangs.
#[tokio::test]
#[ignore = "figures"]
#[allow(clippy::print_stdout)]
async fn others_while_a_token_hangs() {
    let (slow, fast, release) = servers(Duration::from_mins(1));
    let (slow, fast) = (Arc::new(slow), Arc::new(fast));
    let mut waiting = Vec::new();
    for state in ["idle", "hanging"] {
        let mut times = Vec::new();
        for _ in 0..500 {
            let begun = std::time::Instant::now();
            let (mut near, _) = greet(&fast).await;
            assert_eq!(first(&mut near).await[..3], SERVER_HELLO);
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        println!("{state}: median {:?}, p99 {:?}", times[250], times[495]);
        waiting.push(greet(&slow).await);
    }
    drop(release);
}

#[tokio::test]
async fn a_signature_that_does_not_come_in_time_ends_the_handshake_with_an_alert() {
    let (slow, _, release) = servers(Duration::from_millis(100));
    let slow = Arc::new(slow);
    let (mut near, task) = greet(&slow).await;
    assert_eq!(first(&mut near).await, alert(INTERNAL_ERROR));
    drop(near);
    let error = within(task).await.unwrap().unwrap_err();
    assert_eq!(error.reason(), "signer_timeout");
    drop(release);
}

/// rustls has begun its flight when it asks for the signature: nothing of it is sent.
#[tokio::test]
async fn a_token_that_fails_ends_the_handshake_with_an_alert() {
    let (slow, _, release) = servers(Duration::from_mins(1));
    drop(release);
    let slow = Arc::new(slow);
    let (mut near, task) = greet(&slow).await;
    assert_eq!(first(&mut near).await, alert(INTERNAL_ERROR));
    drop(near);
    let error = within(task).await.unwrap().unwrap_err();
    assert_eq!(error.reason(), "signer_failed");
    assert!(error.to_string().contains("no device"), "{error}");
}
