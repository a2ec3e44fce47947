//! A sidecar on port 0 with throw-away certificates, clients for it, and upstreams behind it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::float_cmp,
    clippy::missing_panics_doc,
    clippy::unused_async
)]

pub mod agent;
pub mod client;
pub mod collector;
pub mod egress;
pub mod hello;
pub mod http;
pub mod openssl;
pub mod pki;
pub mod process;
pub mod program;
pub mod proxy_protocol;
pub mod stage;
pub mod tunnel;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hybridge::certgen::Algorithm;
use hybridge::config::Config;
use hybridge::io::TrafficCounters;
use hybridge::run;
use prometheus::IntCounter;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;

use self::pki::TestPki;

/// No step of a test takes longer than this unless something is broken.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// How a test's sidecar differs from the default: TOML for each section of its one listener.
#[derive(Clone, Debug)]
pub struct Setup {
    pub upstream: String,
    pub process: String,
    pub listener: String,
    pub tls: String,
    pub limits: String,
    pub timeouts: String,
    /// TLS settings of a second listener, if there is one.
    pub second: Option<String>,
    pub algorithm: Algorithm,
    /// Whether the listener has a certificate file and a key file.
    pub files: bool,
}

impl Setup {
    pub fn in_front_of(upstream: impl std::fmt::Display) -> Self {
        Self {
            upstream: upstream.to_string(),
            process: "[drain]\ndelay = \"0s\"\ntimeout = \"10s\"".to_owned(),
            listener: String::new(),
            tls: String::new(),
            limits: String::new(),
            timeouts: String::new(),
            second: None,
            algorithm: Algorithm::EcdsaP256,
            files: true,
        }
    }

    pub fn listener(mut self, toml: &str) -> Self {
        self.listener += toml;
        self.listener.push('\n');
        self
    }

    pub fn tls(mut self, toml: &str) -> Self {
        self.tls += toml;
        self.tls.push('\n');
        self
    }

    pub fn limits(mut self, toml: &str) -> Self {
        self.limits += toml;
        self.limits.push('\n');
        self
    }

    pub fn timeouts(mut self, toml: &str) -> Self {
        self.timeouts += toml;
        self.timeouts.push('\n');
        self
    }

    /// Replaces the top of the file (`workers`, `[drain]`).
    pub fn process(mut self, toml: &str) -> Self {
        toml.clone_into(&mut self.process);
        self
    }

    /// A second listener named `second`, with the same upstream and certificate.
    pub fn second_listener(mut self, tls: &str) -> Self {
        self.second = Some(tls.to_owned());
        self
    }

    /// Without certificate and key file: an agent gives them.
    pub fn without_files(mut self) -> Self {
        self.files = false;
        self
    }

    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    pub fn toml(&self, dir: &TempDir) -> String {
        let dir = dir.path().display();
        let Self {
            upstream,
            process,
            listener,
            tls,
            limits,
            timeouts,
            second,
            ..
        } = self;
        let second = second.as_ref().map_or(String::new(), |tls| {
            format!("[[listener]]\nname = \"second\"\nlisten = \"127.0.0.1:0\"\nupstream = \"{upstream}\"\n[listener.tls]\ncert = \"{dir}/tls.crt\"\nkey = \"{dir}/tls.key\"\n{tls}\n")
        });
        let files = if self.files {
            format!("cert = \"{dir}/tls.crt\"\nkey = \"{dir}/tls.key\"")
        } else {
            String::new()
        };
        format!(
            "{process}\n[admin]\nlisten = \"127.0.0.1:0\"\n[[listener]]\nname = \"test\"\nlisten = \"127.0.0.1:0\"\nupstream = \"{upstream}\"\n{listener}\n[listener.tls]\n{files}\n{tls}\n[listener.limits]\n{limits}\n[listener.timeouts]\n{timeouts}\n{second}"
        )
    }

    /// Must run inside a runtime.
    pub fn start(&self) -> Sidecar {
        let dir = tempfile::tempdir().unwrap();
        let pki = TestPki::new(self.algorithm);
        pki.leaf(&["localhost", "127.0.0.1"]).write_to(dir.path());
        let config = Config::parse("test.toml", &self.toml(&dir)).unwrap();
        let running = run::Sidecar::start(config).unwrap();
        Sidecar {
            address: running.addresses("test")[0],
            admin: running.admin_addresses()[0],
            ca: pki.ca_pem().as_bytes().to_vec(),
            running: Some(running),
            pki,
            dir,
        }
    }
}

/// A running sidecar; ends with the test's runtime.
pub struct Sidecar {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    pub ca: Vec<u8>,
    pub pki: TestPki,
    pub dir: TempDir,
    pub running: Option<run::Sidecar>,
}

impl Sidecar {
    /// GET of a page of the admin port: status and body.
    pub async fn admin(&self, path: &str) -> (u16, String) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let mut stream = TcpStream::connect(self.admin).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    /// The value of a series such as `hybridge_handshakes_total{group="X25519"}`: the sum of those
    /// that have all the given labels.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let (_, page) = self.admin("/metrics").await;
        let has = |line: &str| {
            labels
                .iter()
                .all(|(key, value)| line.contains(&format!("{key}=\"{value}\"")))
        };
        page.lines()
            .filter(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(['{', ' ']))
            })
            .filter(|line| has(line))
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }

    /// Waits until a metric reaches a value.
    pub async fn metric_reaches(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        eventually(&format!("{name}{labels:?} to reach {value}"), async || {
            self.metric(name, labels).await >= value
        })
        .await;
    }

    /// Waits until a metric is a value.
    pub async fn metric_is(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        eventually(&format!("{name}{labels:?} to be {value}"), async || {
            self.metric(name, labels).await == value
        })
        .await;
    }

    /// A rustls client connected with the given ALPN protocols.
    pub async fn connect(&self, alpn: &[&str]) -> TlsStream<TcpStream> {
        self.try_connect(client_config(&self.ca, alpn))
            .await
            .unwrap()
    }

    pub async fn try_connect(&self, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
        connect(self.address, config).await
    }

    /// Sends bytes over a new HTTP/1.1 connection and reads until the server closes.
    pub async fn exchange(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect(&["http/1.1"]).await;
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        let _ = within(stream.read_to_end(&mut answer)).await;
        answer
    }

    /// An HTTP/2 client.
    pub async fn http2(&self) -> h2::client::SendRequest<bytes::Bytes> {
        let stream = self.connect(&["h2"]).await;
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        sender.ready().await.unwrap()
    }
}

/// A rustls client connected to an address.
pub async fn connect(
    address: SocketAddr,
    config: ClientConfig,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// Counters of a connection that nobody scrapes.
pub fn traffic_counters() -> TrafficCounters {
    let counter = || IntCounter::new("bytes", "bytes").unwrap();
    TrafficCounters {
        wire_in: counter(),
        wire_out: counter(),
        payload_in: counter(),
        payload_out: counter(),
    }
}

/// A client configuration that trusts one CA.
pub fn client_config(ca: &[u8], alpn: &[&str]) -> ClientConfig {
    client_config_with(ca, alpn, Arc::new(rustls_post_quantum::provider()))
}

/// A client configuration of chosen groups and suites.
pub fn client_config_with(ca: &[u8], alpn: &[&str], provider: Arc<CryptoProvider>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// Fails a test that hangs.
pub async fn within<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(DEADLINE, work)
        .await
        .expect("nothing happened within the deadline")
}

/// Polls until a condition holds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let polling = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(DEADLINE, polling).await.is_ok(),
        "waited in vain for {what}"
    );
}

/// A socket that holds every connection of a test until it is accepted: beyond the usual queue of 128 the
/// kernel drops a SYN, and the client sends the next after a second.
pub fn listening() -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    socket.listen(4096).unwrap()
}

/// An upstream of bare sockets: `serve` gets every connection.
pub async fn upstream<F, Fut>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = listening();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Reads a request head, up to and with its blank line.
pub async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// An HTTP/1.1 server that answers each request (without a body) with the same bytes.
pub async fn answering(answer: &'static [u8]) -> SocketAddr {
    upstream(move |stream| answer_each(stream, answer)).await
}

/// Answers each request of a connection with the same bytes.
pub async fn answer_each(mut stream: TcpStream, answer: impl AsRef<[u8]>) {
    while read_head(&mut stream).await.is_some() {
        if stream.write_all(answer.as_ref()).await.is_err() {
            return;
        }
    }
}
