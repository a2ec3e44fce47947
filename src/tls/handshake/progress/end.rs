//! How a handshake ends: with keys and the facts of its session, or with the reason why not.

use bytes::BytesMut;
use rustls::server::UnbufferedServerConnection;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::outcome::{Alpn, Failure, HandshakeKind, Session};
use super::Progress;
use crate::io::{Traffic, TrafficCounters};
use crate::tls::error::HandshakeError;
use crate::tls::policy::{Group, confidentiality_limit, suite_name};
use crate::tls::protection::Keys;
use crate::tls::secrets::Secrets;
use crate::tls::server::TlsServer;
use crate::tls::stream::{Established, TlsStream};
use crate::tls::tickets::resumed_peer;

impl Progress {
    pub(in crate::tls::handshake) fn finish<IO: AsyncRead + AsyncWrite + Unpin>(
        self,
        io: IO,
        conn: UnbufferedServerConnection,
        server: &TlsServer,
        counters: TrafficCounters,
    ) -> Result<(TlsStream<IO>, Session), Box<Failure>> {
        let (Some(session), Some(keys)) = (self.session(&conn, server), establish(conn)) else {
            return Err(self.fail(HandshakeError::Internal));
        };
        let pending = BytesMut::from(&self.received[..]);
        let stream = TlsStream::new(io, keys, pending, Traffic::new(counters));
        Ok((stream, session))
    }

    fn session(&self, conn: &UnbufferedServerConnection, server: &TlsServer) -> Option<Session> {
        let group = conn.negotiated_key_exchange_group()?;
        let kind = match conn.handshake_kind()? {
            rustls::HandshakeKind::Full => HandshakeKind::Full,
            rustls::HandshakeKind::FullWithHelloRetryRequest => HandshakeKind::Retried,
            rustls::HandshakeKind::Resumed => HandshakeKind::Resumed,
        };
        // A session that is resumed has the facts in their place, which are no certificates.
        let chain = match kind {
            HandshakeKind::Resumed => None,
            _ => conn.peer_certificates().filter(|_| server.wants_chain),
        };
        let chain = chain.unwrap_or_default();
        Some(Session {
            group: Group::from_code_point(group.name())?,
            kind,
            retried: self.flight.retried,
            offered: self.offer.as_ref()?.class(),
            suite: suite_name(conn.negotiated_cipher_suite()?.suite()),
            alpn: match conn.alpn_protocol() {
                Some(b"h2") => Alpn::Http2,
                _ => Alpn::Http1,
            },
            server_name: self.server_name.clone(),
            classical: self.classical.clone(),
            peer: match &self.noted.peer {
                None if kind == HandshakeKind::Resumed => {
                    resumed_peer(conn.peer_certificates()).ok()?
                }
                peer => peer.clone(),
            },
            chain: chain.to_vec(),
            withheld: false,
            cost: self.cost,
        })
    }

    pub(in crate::tls::handshake) fn fail(mut self, error: HandshakeError) -> Box<Failure> {
        self.cost.elapsed = self.since_first_byte();
        self.cost.bytes_in += self.received.len() as u64;
        Box::new(Failure {
            error,
            offer: self.offer,
            classical: self.classical,
            peer: self.noted.peer,
            cost: self.cost,
        })
    }
}

/// Takes the keys over from rustls.
fn establish(conn: UnbufferedServerConnection) -> Option<Established> {
    let (keys, secrets) = conn.dangerous_into_kernel_connection().ok()?;
    Some(Established {
        opener: Keys::new(keys.rx).ok()?,
        sealer: Keys::new(keys.tx).ok()?,
        limit: confidentiality_limit(secrets.negotiated_cipher_suite())?,
        secrets: Secrets::Server(secrets),
    })
}
