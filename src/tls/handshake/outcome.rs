//! What a handshake ends with: the facts of one that completed, or why it did not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;

use crate::tls::error::HandshakeError;
use crate::tls::hello::ClassicalHello;
use crate::tls::identity::PeerIdentity;
use crate::tls::policy::{Group, KxClass, Offer, kx};

/// How the keys came about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HandshakeKind {
    /// Certificate and signature, one round trip.
    Full,
    /// Certificate and signature after a HelloRetryRequest.
    Retried,
    /// From a session ticket, with a fresh key exchange.
    Resumed,
}

impl HandshakeKind {
    /// The label value and log field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Retried => "hrr",
            Self::Resumed => "resumed",
        }
    }
}

/// What ALPN chose (RFC 7301).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Alpn {
    /// `h2`.
    Http2,
    /// `http/1.1`, or nothing agreed.
    Http1,
}

/// The facts of a completed handshake, as observed.
#[derive(Clone, Debug)]
pub struct Session {
    /// The group that was negotiated.
    pub group: Group,
    /// Full, after a retry, or resumed.
    pub kind: HandshakeKind,
    /// A HelloRetryRequest was sent.
    pub retried: bool,
    /// What the client listed.
    pub offered: KxClass,
    /// IANA name of the cipher suite.
    pub suite: &'static str,
    /// What ALPN chose.
    pub alpn: Alpn,
    /// What the client calls the server (SNI), where somebody wants to know.
    pub server_name: Option<Box<str>>,
    /// Who the client is, by its verified certificate.
    pub peer: Option<Arc<PeerIdentity>>,
    /// The hello of a client that lists no hybrid group, where somebody counts those.
    pub classical: Option<Box<ClassicalHello>>,
    /// The client's certificates, its own first, where somebody wants them.
    pub chain: Vec<CertificateDer<'static>>,
    /// Of a connection that we began: the server asked for a certificate and admits no signature of our key, so that
    /// none was sent.
    pub withheld: bool,
    /// What it took.
    pub cost: Cost,
}

/// Bytes and time of a handshake, whole or broken off.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Below TLS, from the client.
    pub bytes_in: u64,
    /// Below TLS, to the client, tickets included.
    pub bytes_out: u64,
    /// From the first byte of the ClientHello.
    pub elapsed: Duration,
    /// Inside TLS code.
    pub compute: Duration,
    /// Inside the key exchange.
    pub key_exchange: Duration,
}

impl Cost {
    /// Adds what the work takes.
    pub(in crate::tls) fn timed<T>(&mut self, work: impl FnOnce() -> T) -> T {
        kx::take_elapsed();
        let start = Instant::now();
        let result = work();
        self.compute += start.elapsed();
        self.key_exchange += kx::take_elapsed();
        result
    }
}

/// A handshake that did not complete, with what is known of it.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub error: HandshakeError,
    /// What the client offered, if its hello arrived.
    pub offer: Option<Offer>,
    /// The hello of a client that lists no hybrid group, where somebody counts those.
    pub classical: Option<Box<ClassicalHello>>,
    /// Whose certificate was verified; that the client has its key is not said.
    pub peer: Option<Arc<PeerIdentity>>,
    /// What it took so far.
    pub cost: Cost,
}

/// One of which nothing else is known.
impl From<HandshakeError> for Failure {
    fn from(error: HandshakeError) -> Self {
        Self {
            error,
            offer: None,
            classical: None,
            peer: None,
            cost: Cost::default(),
        }
    }
}
