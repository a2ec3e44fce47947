//! A panic in each kind of task: counted, logged, and the end of nothing else. What panics is a double
//! given through the public API: a certificate resolver, an observer, a subscriber of log lines.

use std::fmt::{Debug, Write as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use hybridge::config::Config;
use hybridge::drain::Drain;
use hybridge::listener::Admission;
use hybridge::metrics::{ListenerSockets, Metrics};
use hybridge::proxy::UpstreamPermits;
use hybridge::proxy::connection::{Accepted, Frontend, Service};
use hybridge::tls::credentials::CertificateFacts;
use hybridge::tls::reload::{
    CredentialStore, Outcome, ReloadError, ReloadObserver, ReloadSettings, Reloader,
};
use hybridge::worker::Load;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing::field::{Field, Visit};
use tracing::span;

use crate::support::pki::TestPki;
use crate::support::{Setup, answering, hello, within};

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
pub(crate) const PANICS: &str = "hybridge_panics_total";

/// Keeps each log line, and panics at one message.
#[derive(Clone)]
pub(crate) struct Panicking {
    at: &'static str,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Panicking {
    /// For what runs on this thread until the guard is dropped.
    pub(crate) fn at(message: &'static str) -> (Self, tracing::subscriber::DefaultGuard) {
        let this = Self {
            at: message,
            lines: Arc::default(),
        };
        let guard = tracing::subscriber::set_default(this.clone());
        (this, guard)
    }

    fn said(&self, text: &str) -> bool {
        self.count(text) > 0
    }

    /// How many lines hold this.
    pub(crate) fn count(&self, text: &str) -> usize {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|line| line.contains(text)).count()
    }
}

impl tracing::Subscriber for Panicking {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let panics = line.0.contains(&format!("message={}", self.at));
        self.lines.lock().unwrap().push(line.0);
        assert!(!panics, "as asked");
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}

async fn one_thread() -> crate::support::Sidecar {
    Setup::in_front_of(answering(EMPTY).await)
        .process("workers = 1\n[drain]\ndelay = \"0s\"\ntimeout = \"10s\"")
        .start()
}

/// On one thread with the sidecar: a request over a connection that was open before.
async fn is_served(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) {
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut answer = vec![0; EMPTY.len()];
    within(stream.read_exact(&mut answer)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_panic_in_a_connection_is_its_outcome_and_no_other_connections() {
    let sidecar = one_thread().await;
    let mut other = sidecar.connect(&["http/1.1"]).await;
    let (log, _guard) = Panicking::at("request refused");
    let answer = sidecar.exchange(b"BAD\x01 / HTTP/1.1\r\n\r\n").await;
    assert_eq!(answer, b"");
    let outcome = [("outcome", "internal")];
    sidecar
        .metric_reaches("hybridge_connections_total", &outcome, 1.0)
        .await;
    let task = [("task", "connection")];
    assert_eq!(sidecar.metric(PANICS, &task).await, 1.0);
    assert!(log.said("outcome=\"internal\" "));
    is_served(&mut other).await;
    let open = "hybridge_connections_open";
    assert_eq!(sidecar.metric(open, &[]).await, 1.0);
}

#[tokio::test]
async fn a_panic_while_a_relay_is_recorded_is_counted_and_no_other_ends() {
    let sidecar = Setup::in_front_of(answering(EMPTY).await)
        .listener("protocol = \"tcp\"")
        .process("workers = 1\n[drain]\ndelay = \"0s\"\ntimeout = \"10s\"")
        .start();
    let mut other = sidecar.connect(&[]).await;
    let (log, _guard) = Panicking::at("connection closed");
    let mut ending = sidecar.connect(&[]).await;
    is_served(&mut ending).await;
    drop(ending);
    let task = [("task", "connection")];
    sidecar.metric_reaches(PANICS, &task, 1.0).await;
    assert_eq!(log.count("connection closed"), 1);
    is_served(&mut other).await;
    sidecar
        .metric_is("hybridge_connections_open", &[], 1.0)
        .await;
}

#[tokio::test]
async fn a_panic_in_an_http2_stream_resets_that_stream() {
    let sidecar = one_thread().await;
    let mut sender = sidecar.http2().await;
    let (_log, _guard) = Panicking::at("request refused");
    let refused = http::Request::connect("localhost:443").body(()).unwrap();
    let (response, _) = sender.send_request(refused, true).unwrap();
    let error = within(response).await.unwrap_err();
    assert!(error.is_reset(), "{error:?}");
    assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR));
    let task = [("task", "stream")];
    sidecar.metric_reaches(PANICS, &task, 1.0).await;
    let request = http::Request::get("https://localhost/").body(()).unwrap();
    let (response, _) = sender.send_request(request, true).unwrap();
    assert_eq!(within(response).await.unwrap().status(), 200);
    let requests = "hybridge_requests_open";
    sidecar.metric_is(requests, &[], 0.0).await;
}

#[derive(Debug)]
struct NoCertificate;

impl ResolvesServerCert for NoCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        panic!("as asked");
    }
}

/// Accepts one connection and serves it.
async fn serve_one(listener: TcpListener, front: Arc<Frontend>, drain: Drain) {
    let load = Arc::new(Load::default());
    let service = Arc::new(Service::new(&front, &load, 1));
    let (io, client) = listener.accept().await.unwrap();
    let admission = Admission::new(1, ListenerSockets::default());
    let permit = admission.try_enter(client.ip()).unwrap();
    let accepted = Accepted {
        io,
        client,
        permit: (permit, load.share()),
        at: Instant::now(),
    };
    let ended = tokio::spawn(service.serve(accepted, drain.watch())).await;
    assert!(ended.unwrap_err().is_panic());
}

#[tokio::test]
async fn a_panic_in_a_handshake_is_a_failed_handshake() {
    let dir = tempfile::tempdir().unwrap();
    TestPki::new(hybridge::certgen::Algorithm::EcdsaP256)
        .leaf(&["localhost"])
        .write_to(dir.path());
    let toml = Setup::in_front_of("127.0.0.1:1").toml(&dir);
    let config = Config::parse("test.toml", &toml).unwrap();
    let [listener] = &config.listeners[..] else {
        panic!("one listener");
    };
    let metrics = Arc::new(Metrics::new().unwrap());
    let resolver: Arc<dyn ResolvesServerCert> = Arc::new(NoCertificate);
    let front = Frontend::new(
        "test",
        &listener.tls,
        &listener.proxy,
        &resolver,
        None,
        metrics.listener("test"),
        &UpstreamPermits::new(None),
    );
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = socket.local_addr().unwrap();
    let (log, _guard) = Panicking::at("nothing");
    let drain = Drain::default();
    let serving = tokio::spawn(serve_one(socket, Arc::new(front.unwrap()), drain.clone()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&hello::hybrid()).await.unwrap();
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
    within(serving).await.unwrap();
    let page = String::from_utf8(metrics.render().unwrap()).unwrap();
    for series in [
        "hybridge_handshake_failures_total{listener=\"test\",reason=\"internal\"} 1",
        "hybridge_connections_total{listener=\"test\",outcome=\"handshake_failed\"} 1",
        "hybridge_connections_open{listener=\"test\"} 0",
        "hybridge_panics_total{task=\"connection\"} 1",
    ] {
        assert!(page.contains(series), "{series}: {page}");
    }
    assert!(log.said("reason=\"internal\" "));
    assert_eq!(drain.open(), 0);
}

#[tokio::test]
async fn a_panic_in_a_reload_is_a_failed_one_and_the_next_is_made() {
    let sidecar = one_thread().await;
    let reload = sidecar.running.as_ref().unwrap().reload().clone();
    {
        let (_log, _guard) = Panicking::at("certificate unchanged");
        let outcomes = within(reload.reload_now()).await.unwrap();
        let [Outcome::Failed(error)] = &outcomes[..] else {
            panic!("{outcomes:?}");
        };
        assert_eq!(error.reason, "internal");
        assert!(!error.message.contains("as asked"), "{error:?}");
    }
    assert_eq!(sidecar.metric(PANICS, &[("task", "reload")]).await, 1.0);
    let failed = [("result", "failed")];
    let reloads = "hybridge_credential_reloads_total";
    assert_eq!(sidecar.metric(reloads, &failed).await, 1.0);
    let outcomes = within(reload.reload_now()).await.unwrap();
    assert_eq!(outcomes, [Outcome::Restored]);
}

/// Panics at everything it hears.
struct Deaf;

impl ReloadObserver for Deaf {
    fn reloaded(&self, _: &CredentialStore, _: Result<&CertificateFacts, &ReloadError>) {
        panic!("as asked");
    }

    fn panicked(&self) {
        panic!("as asked");
    }
}

#[tokio::test]
async fn an_observer_that_panics_does_not_end_the_reloader() {
    let dir = tempfile::tempdir().unwrap();
    let pki = TestPki::new(hybridge::certgen::Algorithm::EcdsaP256);
    let files = pki.leaf(&["localhost"]).write_to(dir.path());
    let store = Arc::new(CredentialStore::load(&files.cert, &files.key).unwrap());
    let settings = ReloadSettings::default();
    let (reloader, handle) = Reloader::new(vec![Arc::clone(&store)], settings, Arc::new(Deaf));
    let running = tokio::spawn(reloader.run());
    for _ in 0..2 {
        pki.leaf(&["localhost"]).write_to(dir.path());
        let outcomes = within(handle.reload_now()).await.unwrap();
        assert_eq!(outcomes.len(), 1, "{outcomes:?}");
        assert!(!running.is_finished());
    }
}
