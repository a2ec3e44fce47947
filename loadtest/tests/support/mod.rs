//! What the tests stand against: a throw-away CA, and a TLS server made of the tool's own parts, with groups to
//! choose. Port 0, everything ends with the runtime.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

pub mod fixture;
pub mod program;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hybridge_loadtest::net::counts::Counter;
use hybridge_loadtest::net::dial::{Endpoint, Tls};
use hybridge_loadtest::net::link::Link;
use hybridge_loadtest::net::served::Served;
use hybridge_loadtest::net::stream::Stream;
use hybridge_loadtest::observe::Probe;
use hybridge_loadtest::plan::{Case, Load, Role, Scenario, Speaks, Target};
use hybridge_loadtest::run::target::Resolved;
use hybridge_loadtest::stub;
use hybridge_loadtest::tls::{Group, Trust};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;

/// Where nobody listens.
pub fn unused_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// A CA and a leaf for localhost.
pub struct Pki {
    pub ca_pem: String,
    pub leaf_pem: String,
    pub key_pem: String,
    leaf_der: rustls::pki_types::CertificateDer<'static>,
    key_der: Vec<u8>,
}

impl Pki {
    pub fn new() -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        Self {
            ca_pem,
            leaf_pem: leaf.pem(),
            key_pem: key.serialize_pem(),
            leaf_der: leaf.der().clone(),
            key_der: key.serialize_der(),
        }
    }

    pub fn trust(&self) -> Trust {
        Trust::from_pem(self.ca_pem.as_bytes()).unwrap()
    }

    /// A server configuration that knows these groups only.
    pub fn server(&self, groups: &[Group]) -> Arc<ServerConfig> {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.kx_groups = groups.iter().map(|group| group.exchange()).collect();
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![self.leaf_der.clone()],
                PrivateKeyDer::try_from(self.key_der.clone()).unwrap(),
            )
            .unwrap();
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
        config.send_tls13_tickets = 2;
        Arc::new(config)
    }

    /// The same with protocols for ALPN, the preferred one first.
    pub fn speaking(&self, groups: &[Group], alpn: &[&str]) -> Arc<ServerConfig> {
        let mut config = Arc::into_inner(self.server(groups)).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

/// Serves the stub behind TLS; where it listens.
pub async fn serve(config: Arc<ServerConfig>) -> SocketAddr {
    serve_slowly(config, Duration::ZERO).await
}

/// The same with a pause before whatever it writes.
pub async fn serve_slowly(config: Arc<ServerConfig>, pause: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((peer, _)) = listener.accept().await {
            peer.set_nodelay(true).unwrap();
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            tokio::spawn(async move {
                let stream = Stream::handshake(peer, connection.into(), Arc::default()).await?;
                if pause.is_zero() {
                    return stub::serve_connection(stream).await;
                }
                stub::serve_connection(Slow::new(stream, pause)).await
            });
        }
    });
    address
}

/// An endpoint for a server of the tests.
pub fn endpoint(name: &str, address: SocketAddr, pki: &Pki, groups: &[Group]) -> Arc<Endpoint> {
    Arc::new(Endpoint {
        name: name.to_owned(),
        address,
        authority: address.to_string(),
        tls: Some(Tls {
            server_name: "localhost".try_into().unwrap(),
            trust: pki.trust(),
            groups: groups.to_vec(),
            expect: groups[0],
            identity: None,
        }),
        rtt: Duration::ZERO,
        totals: Arc::new(Counter::default()),
        served: Served::default(),
    })
}

/// The same as a target of a run.
pub fn target(role: Role, endpoint: Arc<Endpoint>) -> Resolved {
    let groups = endpoint
        .tls
        .as_ref()
        .map_or_else(Vec::new, |tls| tls.groups.clone());
    Resolved {
        plan: Target::new(
            &endpoint.name,
            format!("https://{}", endpoint.authority),
            role,
            groups,
        ),
        endpoint,
        speaks: Speaks::Http,
        probe: Probe::new(Some(std::process::id()), None),
    }
}

/// A short closed case with a scenario's defaults.
pub fn case(scenario: Scenario) -> Case {
    let defaults = scenario.defaults();
    Case {
        scenario,
        link: Link::default(),
        load: Load::Closed { connections: 2 },
        up: defaults.up,
        down: defaults.down,
        tokens: defaults.tokens,
        token_interval_us: 200,
        streams: 1,
        rounds: 3,
        block_ms: 30,
        warmup_ms: 5,
    }
}

/// A stream that waits before it writes.
struct Slow<S> {
    inner: S,
    pause: Duration,
    waiting: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl<S> Slow<S> {
    fn new(inner: S, pause: Duration) -> Self {
        Self {
            inner,
            pause,
            waiting: None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Slow<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Slow<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let pause = self.pause;
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
        std::task::ready!(waiting.as_mut().poll(cx));
        let written = std::task::ready!(Pin::new(&mut self.inner).poll_write(cx, bytes));
        self.waiting = None;
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
