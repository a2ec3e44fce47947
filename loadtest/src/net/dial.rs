//! Opening one counted connection to a target and proving that it is what was asked for: the group and the kind of
//! handshake are checked on every connection, and another one is an error that ends the run.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::crypto::SupportedKxGroup;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::counts::{Counter, Meter};
use super::served::Served;
use super::socket::Socket;
use super::stream::Stream;
use super::timer::Timer;
use crate::error::{Error, Result};
use crate::tls::{ClientIdentity, Group, Offer, Trust, client_config, group_name};

/// A connection attempt that has not ended by then has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a target is and what a client brings there.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The target's name in plan and report.
    pub name: String,
    pub address: SocketAddr,
    /// `host:port` for the `host` header.
    pub authority: String,
    /// None speaks plain TCP.
    pub tls: Option<Tls>,
    /// The emulated round trip the kernel's TCP handshake does not show.
    pub rtt: Duration,
    /// Sum over all connections of this endpoint.
    pub totals: Arc<Counter>,
    /// What it has of what scenarios ask for.
    pub served: Served,
}

/// The TLS part of an endpoint.
#[derive(Clone, Debug)]
pub struct Tls {
    pub server_name: ServerName<'static>,
    pub trust: Trust,
    /// Groups of the hello, first one with a share.
    pub groups: Vec<Group>,
    /// The group that must come out.
    pub expect: Group,
    /// The certificate that the client presents when asked.
    pub identity: Option<ClientIdentity>,
}

/// The kind of handshake a scenario is about; any other fails the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Full,
    HelloRetry,
    Resumed,
    /// The first connection of a resuming client.
    Any,
}

/// Dials one endpoint again and again; with `resume` each next connection offers the tickets of those before.
#[derive(Clone, Debug)]
pub struct Dialer {
    endpoint: Arc<Endpoint>,
    config: Option<Arc<ClientConfig>>,
    /// Sockets note when what they read came.
    timed: bool,
}

/// An established connection and what it took.
#[derive(Debug)]
pub struct Dialed {
    pub stream: Stream<Socket>,
    /// First byte of the ClientHello to the client's Finished sent; zero without TLS.
    pub handshake: Duration,
}

impl Dialer {
    pub fn new(endpoint: &Arc<Endpoint>, alpn: Vec<&'static str>, resume: bool) -> Result<Self> {
        let config = endpoint
            .tls
            .as_ref()
            .map(|tls| {
                client_config(
                    &tls.trust,
                    &Offer {
                        groups: tls.groups.clone(),
                        alpn,
                        resume,
                        identity: tls.identity.clone(),
                    },
                )
            })
            .transpose()?;
        Ok(Self {
            endpoint: Arc::clone(endpoint),
            config,
            timed: false,
        })
    }

    /// Whether the sockets note when what they read came.
    #[must_use]
    pub fn timed(mut self, timed: bool) -> Self {
        self.timed = timed;
        self
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Connects, shakes hands, verifies.
    pub async fn dial(&self, expect: Expect) -> Result<Dialed> {
        let attempt = timeout(PATIENCE, self.attempt(expect)).await;
        attempt.unwrap_or_else(|_| Err(self.unreachable(io::ErrorKind::TimedOut.into())))
    }

    async fn attempt(&self, expect: Expect) -> Result<Dialed> {
        let begun = Instant::now();
        let socket = TcpStream::connect(self.endpoint.address)
            .await
            .map_err(|error| self.unreachable(error))?;
        socket
            .set_nodelay(true)
            .map_err(|error| self.unreachable(error))?;
        let socket = self.socket(socket)?;
        if !self.endpoint.rtt.is_zero() {
            let wait = async { Timer::new()?.sleep_until(begun + self.endpoint.rtt).await };
            wait.await
                .map_err(Error::system("timer for the emulated link"))?;
        }
        let meter = Meter::for_totals(&self.endpoint.totals);
        let (Some(tls), Some(config)) = (&self.endpoint.tls, &self.config) else {
            let stream = Stream::plain(socket, meter);
            return Ok(Dialed {
                stream,
                handshake: Duration::ZERO,
            });
        };
        let start = Instant::now();
        let client = ClientConnection::new(Arc::clone(config), tls.server_name.clone())
            .map_err(|error| self.failed(&error.to_string()))?;
        let stream = Stream::handshake(socket, client.into(), meter)
            .await
            .map_err(|error| self.failed(&explain(&error, tls)))?;
        let handshake = start.elapsed();
        self.verify(&stream, tls.expect, expect)?;
        Ok(Dialed { stream, handshake })
    }

    fn socket(&self, tcp: TcpStream) -> Result<Socket> {
        if !self.timed {
            return Ok(Socket::plain(tcp));
        }
        Socket::timed(tcp).map_err(Error::system(
            "stamps of what a socket receives (SO_TIMESTAMPNS)",
        ))
    }

    fn verify(&self, stream: &Stream<Socket>, group: Group, expect: Expect) -> Result<()> {
        let Some(session) = stream.session() else {
            return Ok(());
        };
        let got = session
            .negotiated_key_exchange_group()
            .map(SupportedKxGroup::name);
        if got.is_none_or(|got| u16::from(got) != group.number()) {
            let got = got.map_or_else(|| "no key exchange".to_owned(), group_name);
            return Err(self.negotiated(group.name().to_owned(), got));
        }
        let kind = session.handshake_kind();
        let fits = match expect {
            Expect::Full => kind == Some(HandshakeKind::Full),
            Expect::HelloRetry => kind == Some(HandshakeKind::FullWithHelloRetryRequest),
            Expect::Resumed => kind == Some(HandshakeKind::Resumed),
            Expect::Any => true,
        };
        if fits {
            Ok(())
        } else {
            Err(self.negotiated(format!("{expect:?} handshake"), format!("{kind:?}")))
        }
    }

    fn unreachable(&self, source: io::Error) -> Error {
        Error::Unreachable {
            target: self.endpoint.name.clone(),
            address: self.endpoint.authority.clone(),
            source,
        }
    }

    fn failed(&self, message: &str) -> Error {
        Error::Handshake {
            target: self.endpoint.name.clone(),
            message: message.to_owned(),
        }
    }

    fn negotiated(&self, expected: String, got: String) -> Error {
        Error::Negotiated {
            target: self.endpoint.name.clone(),
            expected,
            got,
        }
    }
}

/// Adds the remedy to the failures a user can mend.
fn explain(error: &io::Error, tls: &Tls) -> String {
    use rustls::{AlertDescription, CertificateError, Error};
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(
            Error::AlertReceived(AlertDescription::HandshakeFailure) | Error::PeerIncompatible(_),
        ) => {
            let group = tls.expect;
            format!(
                "{error}: it does not offer {group}; check the server's groups or choose another with --group, or `groups` of the target in a plan"
            )
        }
        Some(Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        )) => format!("{error}: {}", tls.trust.unsigned()),
        Some(Error::InvalidCertificate(_)) => format!("{error}: check --ca and --server-name"),
        Some(Error::InvalidMessage(_)) => format!("{error}: this port does not speak TLS"),
        _ if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the connection was closed during the handshake".to_owned()
        }
        _ => error.to_string(),
    }
}
