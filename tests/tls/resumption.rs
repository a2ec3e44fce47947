//! Sessions of clients that showed a certificate: resumed with what is known of them, and never where
//! they would be refused if they came anew. Workers, listeners and processes share the same keys.

use std::path::PathBuf;

use hybridge::certgen::Algorithm;
use openssl::ssl::SslSession;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use crate::support::openssl::Client;
use crate::support::pki::{Pair, TestPki, ca_params, client, uri};
use crate::support::process::Process;
use crate::support::{Setup, eventually, read_head, upstream};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const BATCH: &str = "spiffe://example.org/ns/ai/sa/batch";
const RULE: &str = "allow-uri = [\"spiffe://example.org/ns/ai/**\"]";
const COMPLETED: &str = "hybridge_handshakes_total";
/// More than a hello with a ticket, less than a chain of certificates.
const SMALL: u64 = 4096;

pub(crate) const UNKNOWN_CA: u8 = 48;
const ACCESS_DENIED: u8 = 49;
const CERTIFICATE_REVOKED: u8 = 44;
const CERTIFICATE_REQUIRED: u8 = 116;

/// CAs, revocation lists and ticket keys that listeners share.
pub(crate) struct Shared {
    pub(crate) dir: TempDir,
    pub(crate) clients: TestPki,
}

/// What came of a connection.
pub(crate) struct Served {
    pub(crate) resumed: bool,
    /// What the upstream was told of the client.
    pub(crate) facts: Option<String>,
    /// None where the server sends no ticket: it did not while CAs changed or time ran out.
    session: Option<SslSession>,
    tickets: usize,
    sent: u64,
}

impl Served {
    pub(crate) fn session(&self) -> &SslSession {
        self.session.as_ref().expect("no ticket")
    }
}

impl Shared {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        let shared = Self {
            dir: tempfile::tempdir().unwrap(),
            clients: TestPki::new(algorithm),
        };
        shared.write("clients.crt", shared.clients.ca_pem());
        let key = openssl::base64::encode_block(&[[7; 31].as_slice(), &[8]].concat());
        shared.write("tickets", &format!("active {key}\n"));
        shared
    }

    /// By a rename, as cert-manager and kubelet do.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let next = self.dir.path().join("next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, self.path(name)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Settings of a listener that asks for certificates.
    pub(crate) fn asking(&self, mode: &str, rules: &str) -> String {
        let ca = self.path("clients.crt");
        format!(
            "client-auth = \"{mode}\"\nclient-ca = \"{}\"\n{rules}",
            ca.display()
        )
    }

    fn keys(&self) -> String {
        format!("ticket-keys = \"{}\"", self.path("tickets").display())
    }

    pub(crate) fn revoking(&self, rules: &str) -> String {
        let crl = self.path("clients.crl");
        let asking = self.asking("required", rules);
        format!("{asking}\nclient-crl = \"{}\"", crl.display())
    }

    /// Several workers and these settings beside the shared keys.
    pub(crate) async fn setup(&self, tls: &str) -> Setup {
        Setup::in_front_of(telling().await)
            .process("workers = 2\n[drain]\ndelay = \"0s\"\ntimeout = \"10s\"")
            .tls(&self.keys())
            .tls(tls)
    }

    pub(crate) fn batch(&self) -> Pair {
        self.clients.client(&[uri(BATCH)])
    }
}

/// An upstream that answers with the head of the request.
async fn telling() -> std::net::SocketAddr {
    upstream(|mut stream| async move {
        while let Some(head) = read_head(&mut stream).await {
            let length = head.len();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{head}");
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await
}

pub(crate) fn presenting(pair: &Pair) -> Client {
    Client::new().presenting(&pair.cert, &pair.key)
}

pub(crate) async fn served(
    address: std::net::SocketAddr,
    client: Client,
) -> Result<Served, Option<u8>> {
    let connected = client.connect(address).await.unwrap();
    let resumed = connected.is_resumed();
    let mut finished = connected.exchange(REQUEST).await?;
    let answer = String::from_utf8(finished.answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let field = "x-forwarded-client-cert: ";
    let mut lines = answer.lines();
    Ok(Served {
        resumed,
        facts: lines.find_map(|line| Some(line.strip_prefix(field)?.to_owned())),
        tickets: finished.sessions.len(),
        session: finished.sessions.pop(),
        sent: finished.written,
    })
}

/// The alert that a client with this session, and perhaps this certificate, gets.
async fn refused(address: std::net::SocketAddr, client: Client, session: &SslSession) -> u8 {
    let served = served(address, client.resuming(session)).await;
    match served {
        Ok(served) => panic!("served, resumed: {}", served.resumed),
        Err(alert) => alert.unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_resumes_on_every_worker_with_its_names_and_without_its_chain() {
    for (algorithm, keys) in [
        (Algorithm::EcdsaP256, true),
        (Algorithm::MlDsa87, true),
        (Algorithm::MlDsa87, false),
    ] {
        let shared = Shared::new(algorithm);
        let tls = shared.asking("required", RULE);
        let mut setup = shared.setup(&tls).await;
        if !keys {
            setup.tls = tls;
        }
        let sidecar = setup.start();
        let leaf = client(&[uri(BATCH)]);
        let pair = shared.clients.chain_of(&ca_params("intermediate"), &leaf);
        let first = served(sidecar.address, presenting(&pair)).await.unwrap();
        assert!(!first.resumed);
        assert_eq!(first.tickets, 1);
        let mut session = first.session().clone();
        let facts = first.facts.unwrap();
        assert!(facts.contains(BATCH), "{facts}");
        for _ in 0..6 {
            // It does not even present its certificate: it was verified.
            let again = served(sidecar.address, Client::new().resuming(&session));
            let again = again.await.unwrap();
            assert!(again.resumed, "{algorithm:?}");
            assert_eq!(again.facts.as_ref(), Some(&facts));
            assert!(again.sent < SMALL, "{algorithm:?} {}", again.sent);
            // Resumed ones get a ticket too (`listener.tls.tickets`).
            assert_eq!(again.tickets, 1, "{algorithm:?}");
            session = again.session().clone();
        }
        sidecar
            .metric_is(COMPLETED, &[("kind", "resumed")], 6.0)
            .await;
        let accepted = [("result", "accepted")];
        let certificates = "hybridge_client_certificates_total";
        sidecar.metric_is(certificates, &accepted, 7.0).await;
    }
}

/// Also where both have the same name in two processes: the mode is a part of the keys.
#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_from_where_nobody_is_asked_opens_nothing_where_somebody_is() {
    let shared = Shared::new(Algorithm::EcdsaP256);
    let asking = shared.asking("required", RULE);
    let mut setup = shared.setup("").await;
    setup.second = Some(format!("{}\n{asking}", shared.keys()));
    let open = setup.start();
    let gate = open.running.as_ref().unwrap().addresses("second")[0];
    let other = Process::start(&shared.setup(&asking).await).await;
    let anybody = served(open.address, Client::new()).await.unwrap();
    let again = Client::new().resuming(anybody.session());
    assert!(served(open.address, again).await.unwrap().resumed);
    for address in [gate, other.address] {
        let alert = refused(address, Client::new(), anybody.session()).await;
        assert_eq!(alert, CERTIFICATE_REQUIRED);
    }
}

/// The same settings and the same keys: what differs is the listener.
#[tokio::test(flavor = "multi_thread")]
async fn no_two_listeners_share_a_scope() {
    let shared = Shared::new(Algorithm::EcdsaP256);
    for tls in [String::new(), shared.asking("optional", RULE)] {
        let mut setup = shared.setup(&tls).await;
        setup.second = Some(format!("{}\n{tls}", shared.keys()));
        let sidecar = setup.start();
        let second = sidecar.running.as_ref().unwrap().addresses("second")[0];
        for client in [Client::new(), presenting(&shared.batch())] {
            let first = served(sidecar.address, client.clone()).await.unwrap();
            let there = client.clone().resuming(first.session());
            assert!(!served(second, there).await.unwrap().resumed, "{tls}");
            let here = client.resuming(first.session());
            assert!(served(sidecar.address, here).await.unwrap().resumed);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_of_a_client_without_a_certificate_opens_nothing_where_one_is_required() {
    let shared = Shared::new(Algorithm::EcdsaP256);
    let optional = shared.setup(&shared.asking("optional", RULE)).await.start();
    let required = Process::start(&shared.setup(&shared.asking("required", RULE)).await).await;
    let anybody = served(optional.address, Client::new()).await.unwrap();
    let again = served(optional.address, Client::new().resuming(anybody.session()));
    let again = again.await.unwrap();
    assert!(again.resumed && again.facts.is_none());
    let alert = refused(required.address, Client::new(), anybody.session()).await;
    assert_eq!(alert, CERTIFICATE_REQUIRED);
}

/// What a ticket says counts if it is resumed, not because it was sent along.
#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_does_not_resume_lends_nobody_its_names() {
    let shared = Shared::new(Algorithm::EcdsaP256);
    let sidecar = shared.setup(&shared.asking("optional", RULE)).await.start();
    let batch = served(sidecar.address, presenting(&shared.batch()));
    let batch = batch.await.unwrap();
    assert!(batch.facts.is_some());
    let stranger = Client::new()
        .named("127.0.0.1.example")
        .resuming(batch.session());
    let stranger = served(sidecar.address, stranger).await.unwrap();
    assert!(!stranger.resumed);
    assert_eq!(stranger.facts, None);
    let again = Client::new()
        .named("127.0.0.1.example")
        .resuming(stranger.session());
    let again = served(sidecar.address, again).await.unwrap();
    assert!(again.resumed);
    assert_eq!(again.facts, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_rules_of_now_deny_does_not_resume() {
    let shared = Shared::new(Algorithm::EcdsaP256);
    let before = shared.setup(&shared.asking("required", RULE)).await.start();
    let rule = "allow-uri = [\"spiffe://example.org/ns/web/**\"]";
    let after = Process::start(&shared.setup(&shared.asking("required", rule)).await).await;
    let same = Process::start(&shared.setup(&shared.asking("required", RULE)).await).await;
    let pair = shared.batch();
    let first = served(before.address, presenting(&pair)).await.unwrap();
    let alert = refused(after.address, presenting(&pair), first.session()).await;
    assert_eq!(alert, ACCESS_DENIED);
    let resumed = served(same.address, presenting(&pair).resuming(first.session()));
    assert!(resumed.await.unwrap().resumed, "in a process that agrees");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_client_does_not_resume() {
    let shared = Shared::new(Algorithm::EcdsaP256);
    let tomorrow = time::OffsetDateTime::now_utc() + time::Duration::days(1);
    let list = |serials: &[u8]| shared.clients.revocation_list(serials, tomorrow);
    shared.write("clients.crl", &list(&[]));
    let setup = shared.setup(&shared.revoking(RULE)).await;
    let (here, there) = (setup.start(), Process::start(&setup).await);
    let mut params = client(&[uri(BATCH)]);
    params.serial_number = Some(rcgen::SerialNumber::from_slice(&[7]));
    let pair = shared.clients.issue(&params);
    let mut last = served(here.address, presenting(&pair)).await.unwrap();
    for address in [here.address, there.address] {
        // OpenSSL offers a session that was resumed no second time.
        let again = presenting(&pair).resuming(last.session());
        last = served(address, again).await.unwrap();
        assert!(last.resumed);
    }
    shared.write("clients.crl", &list(&[7]));
    for address in [here.address, there.address] {
        eventually("the client to be refused", async || {
            served(address, presenting(&pair)).await.is_err()
        })
        .await;
        let alert = refused(address, presenting(&pair), last.session()).await;
        assert_eq!(alert, CERTIFICATE_REVOKED);
        let alert = refused(address, Client::new(), last.session()).await;
        assert_eq!(alert, CERTIFICATE_REQUIRED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_a_removed_ca_does_not_resume() {
    let shared = Shared::new(Algorithm::EcdsaP256);
    let setup = shared.setup(&shared.asking("required", RULE)).await;
    let (here, there) = (setup.start(), Process::start(&setup).await);
    let pair = shared.batch();
    let first = served(here.address, presenting(&pair)).await.unwrap();
    shared.write("clients.crt", TestPki::new(Algorithm::EcdsaP256).ca_pem());
    for address in [here.address, there.address] {
        eventually("the client to be refused", async || {
            served(address, presenting(&pair)).await.is_err()
        })
        .await;
        let alert = refused(address, presenting(&pair), first.session()).await;
        assert_eq!(alert, UNKNOWN_CA);
    }
}
