//! A target with what its connections are made with: resolved, connected, secured.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::AlertDescription;
use rustls::pki_types::ServerName;
use socket2::SockRef;
use tokio::net::TcpStream;

use super::error::{OriginError, Tried};
use super::lookups::Lookups;
use super::outgoing::{Outgoing, Under};
use super::resolve::resolve;
use super::seen::TargetsSeen;
use super::stream::ServerStream;
use super::target::Target;
use crate::io::{TrafficCounters, explained, keepalive};
use crate::listener::reaches;
use crate::log_limit::{LogLimit, log_admitted};
use crate::metrics::{EgressMetrics, ListenerMetrics};
use crate::proxy::handshake_sample::sample;
use crate::tls::client::{self, ClientError, ClientTls, Counters, TicketCounters};
use crate::tls::handshake::{Alpn, Session};

/// HTTP/2 by its name in ALPN (RFC 9113 §3.1), and HTTP/1.1.
pub(crate) const HTTP2: &str = "h2";
pub(crate) const HTTP1: &str = "http/1.1";

/// A target with what its connections are made with.
pub(crate) struct Origin {
    /// The egress's name.
    pub(crate) listener: String,
    /// Instead of the target's own.
    pub(crate) server_name: Option<ServerName<'static>>,
    pub(crate) tls: Arc<ClientTls>,
    pub(crate) resolve_timeout: Duration,
    pub(crate) lookups: Lookups,
    pub(crate) connect_timeout: Duration,
    /// Addresses that are our own: nothing is connected to them.
    pub(crate) own: Vec<SocketAddr>,
    pub(crate) metrics: Arc<ListenerMetrics>,
    pub(crate) egress: EgressMetrics,
    /// The address that is tried first, the next time: those of a name take turns.
    pub(crate) next: AtomicUsize,
    /// The targets reached last.
    pub(crate) seen: Arc<TargetsSeen>,
    /// Servers that ask for a certificate and get none of ours.
    pub(crate) withheld: LogLimit,
    /// Our own ends, where what we begin may be redirected to us.
    pub(crate) outgoing: Option<Outgoing>,
}

/// A connection with TLS on it.
pub(crate) struct Connected {
    pub(crate) stream: ServerStream,
    pub(crate) session: Session,
    /// The address that answered.
    pub(crate) address: SocketAddr,
    /// From the name to the TCP connection.
    pub(crate) connecting: Duration,
}

impl Origin {
    /// A new connection.
    ///
    /// `alpn`: the one protocol inside TLS, where that is chosen for each connection. HTTP/2 must be
    /// agreed (RFC 9113 §3.2); HTTP/1.1 is what a server speaks that does not know ALPN.
    pub(crate) async fn connect(
        &self,
        target: &Target,
        alpn: Option<&str>,
    ) -> Result<Connected, OriginError> {
        let begun = Instant::now();
        let mut addresses =
            resolve(target, self.resolve_timeout, &self.lookups, &self.egress).await?;
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let turn = turn.checked_rem(addresses.len()).unwrap_or_default();
        addresses.rotate_left(turn);
        let (stream, _under, address) = self.reach(addresses).await?;
        let connecting = begun.elapsed();
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => target.server_name().map_err(|error| OriginError::Resolve {
                name: target.to_string(),
                cause: format!("it {error}"),
            })?,
        };
        let written = target.to_string();
        let peer = self.tls.peer(&written, name, alpn);
        let counters = Counters {
            traffic: TrafficCounters {
                wire_in: self.metrics.wire.inward.clone(),
                wire_out: self.metrics.wire.outward.clone(),
                payload_in: self.metrics.payload.inward.clone(),
                payload_out: self.metrics.payload.outward.clone(),
            },
            tickets: TicketCounters {
                received: self.egress.tickets.clone(),
                bytes: self.egress.ticket_bytes.clone(),
            },
        };
        let secured = Box::pin(client::connect(stream, peer, counters)).await;
        let (tls, session) = secured.map_err(|failure| OriginError::Handshake(failure, address))?;
        if session.withheld {
            self.log_withheld(&written, address);
        }
        if alpn == Some(HTTP2) && session.alpn != Alpn::Http2 {
            let error = ClientError::NoCommonAlpn;
            return Err(OriginError::handshake(error, address, &session));
        }
        Ok(Connected {
            stream: ServerStream::new(tls, &self.metrics, sample(&session), (written, &self.seen)),
            session,
            address,
            connecting,
        })
    }

    /// The first address that answers. Each has its share of the time that is left.
    async fn reach(
        &self,
        addresses: Vec<SocketAddr>,
    ) -> Result<(TcpStream, Option<Under<'_>>, SocketAddr), OriginError> {
        let deadline = Instant::now() + self.connect_timeout;
        let mut failed = None;
        for (index, address) in addresses.iter().enumerate() {
            if self.own.iter().any(|own| reaches(*address, *own)) {
                return Err(OriginError::Loop(*address));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            match tokio::time::timeout(share, self.open(*address)).await {
                Ok(Ok((stream, under))) => {
                    prepare(&stream, *address);
                    return Ok((stream, under, *address));
                }
                Ok(Err(error)) => failed = Some(Unreached::Failed(error)),
                Err(_) => failed = Some(Unreached::Timeout),
            }
        }
        let tried = Tried(addresses);
        Err(match failed {
            Some(Unreached::Failed(error)) => match error.kind() {
                io::ErrorKind::ConnectionRefused => OriginError::Refused(tried),
                io::ErrorKind::TimedOut => OriginError::Timeout(tried),
                _ => OriginError::Unreachable(tried, error.to_string()),
            },
            Some(Unreached::Timeout) | None => OriginError::Timeout(tried),
        })
    }

    async fn open(&self, to: SocketAddr) -> io::Result<(TcpStream, Option<Under<'_>>)> {
        let connected = match &self.outgoing {
            None => TcpStream::connect(to).await.map(|stream| (stream, None)),
            Some(outgoing) => Box::pin(outgoing.connect(to))
                .await
                .map(|(stream, under)| (stream, Some(under))),
        };
        connected.map_err(explained)
    }
}

impl Origin {
    /// A server that asks, and does not insist, serves us as anybody.
    fn log_withheld(&self, target: &str, address: SocketAddr) {
        let facts = self.tls.facts();
        let key = facts.map(|facts| facts.key_algorithm).unwrap_or_default();
        log_admitted!(
            warn,
            self.withheld.admit(),
            "no certificate shown: the server admits no signature of our key",
            listener = %self.listener,
            role = "egress",
            target,
            %address,
            %key
        );
    }

    /// Why a server ended a connection with `alert` after our side of the handshake was done, and what it
    /// saw of us.
    pub(crate) fn refusal(
        &self,
        alert: AlertDescription,
        address: SocketAddr,
        session: &Session,
    ) -> OriginError {
        let error = if ClientError::is_refusal(alert) {
            let shown = match self.tls.facts() {
                None => "no certificate is configured here: set cert and key".to_owned(),
                Some(facts) if session.withheld => format!(
                    "it saw no certificate: it admits no signature of a key of {}, which that of `{}` has; use a certificate with a key of another kind",
                    facts.key_algorithm, facts.title
                ),
                Some(facts) => format!(
                    "it saw the certificate of `{}`: is it certified by a CA that the server trusts, for clients, and allowed there?",
                    facts.title
                ),
            };
            ClientError::ServerRefusedUs { alert, shown }
        } else {
            ClientError::ServerAlert(alert)
        };
        OriginError::handshake(error, address, session)
    }
}

/// Small records leave at once, and a peer elsewhere that is gone is noticed. A refusal leaves the host's choice.
fn prepare(stream: &TcpStream, to: SocketAddr) {
    let _ = stream.set_nodelay(true);
    if !to.ip().to_canonical().is_loopback() {
        let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive());
    }
}

enum Unreached {
    Failed(io::Error),
    Timeout,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn only_a_server_elsewhere_is_asked_whether_it_is_there() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        for (to, asked) in [
            ("127.0.0.1:1", false),
            ("[::1]:1", false),
            ("192.0.2.1:1", true),
        ] {
            let stream = TcpStream::connect(listener.local_addr().unwrap())
                .await
                .unwrap();
            prepare(&stream, to.parse().unwrap());
            assert_eq!(SockRef::from(&stream).keepalive().unwrap(), asked, "{to}");
        }
    }
}
