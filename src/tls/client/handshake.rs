//! The client's handshake under one deadline, record by record: what is counted ends exactly at the
//! server's Finished and ours; what came along behind stays undecrypted in the stream (RFC 8446 §4).

mod records;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use prometheus::IntCounter;
use rustls::PeerMisbehaved;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};

use super::error::ClientError;
use super::generation::Target;
use super::sessions::{ConnectionTickets, now};
use super::shown::take_withheld;
use super::verified::Facts;
use crate::io::{Traffic, TrafficCounters};
use crate::tls::handshake::flight::Flight;
use crate::tls::handshake::{Alpn, Cost, HandshakeKind, Session};
use crate::tls::hello;
use crate::tls::policy::{Group, Offer, confidentiality_limit, suite_name};
use crate::tls::protection::Keys;
use crate::tls::record::{RecordRules, fatal_alert};
use crate::tls::secrets::{ClientSide, Secrets, TicketCounters};
use crate::tls::stream::{Established, TlsStream};

/// The peer of a handshake, and how it is made.
#[derive(Clone, Debug)]
pub struct Peer {
    pub(super) with: Target,
    pub(super) name: ServerName<'static>,
    pub(super) timeout: Duration,
}

/// Where the bytes and tickets of a connection are counted.
#[derive(Clone)]
pub struct Counters {
    /// Bytes.
    pub traffic: TrafficCounters,
    /// Tickets.
    pub tickets: TicketCounters,
}

impl Counters {
    /// For a connection that no metric tells apart.
    pub fn of(counter: impl Fn() -> IntCounter) -> Self {
        Self {
            traffic: TrafficCounters {
                wire_in: counter(),
                wire_out: counter(),
                payload_in: counter(),
                payload_out: counter(),
            },
            tickets: TicketCounters {
                received: counter(),
                bytes: counter(),
            },
        }
    }
}

/// A handshake that did not complete, with what is known of it.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub error: ClientError,
    /// What we offered.
    pub offer: Option<Offer>,
    /// What it took so far: in from the server, out to it.
    pub cost: Cost,
}

/// Performs the client's handshake, or says why it ended. Alerts are sent before it returns; our last flight
/// leaves with the first thing that is written or flushed, or when the stream is read.
pub async fn connect<IO>(
    mut io: IO,
    peer: Peer,
    counters: Counters,
) -> Result<(TlsStream<IO>, Session), Box<Failure>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut progress = Progress::default();
    let drive = progress.drive(&mut io, &peer);
    let outcome = match tokio::time::timeout(peer.timeout, drive).await {
        Ok(outcome) => outcome,
        Err(_) => Err(ClientError::Timeout),
    };
    match outcome {
        Ok(conn) => progress.finish(io, conn, &peer, counters),
        Err(error) => Err(progress.fail(error)),
    }
}

#[derive(Default)]
struct Progress {
    /// Received and not yet given to rustls.
    received: BytesMut,
    records: usize,
    rules: RecordRules,
    /// One of them must not be, behind the ServerHello.
    unexpected: bool,
    flight: Flight,
    begun: Option<Instant>,
    tickets: Option<Arc<ConnectionTickets>>,
    offer: Option<Offer>,
    /// A HelloRetryRequest came.
    retried: bool,
    /// A ServerHello came, to its end: everything behind it is encrypted.
    keyed: bool,
    /// The server asked for a certificate, and ours would not do.
    withheld: bool,
    cost: Cost,
}

impl Progress {
    async fn drive<IO>(
        &mut self,
        io: &mut IO,
        peer: &Peer,
    ) -> Result<UnbufferedClientConnection, ClientError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let driven = self.established(io, peer).await;
        if let Err(error) = &driven {
            self.say(io, error).await;
        }
        driven
    }

    async fn established<IO>(
        &mut self,
        io: &mut IO,
        peer: &Peer,
    ) -> Result<UnbufferedClientConnection, ClientError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        self.begun = Some(Instant::now());
        let (config, tickets) = peer.with.of_connection();
        self.tickets = tickets;
        let new = || UnbufferedClientConnection::new(config, peer.name.clone());
        let mut conn = self.timed(|_| new())?;
        self.timed(|flight| flight.advance(&mut conn))?;
        self.offer = hello::inspect(&self.flight.outgoing);
        loop {
            let record = self.record(io).await?;
            self.retried |= hello::is_retry_request(&record);
            self.flight.incoming.extend_from_slice(&record);
            let advanced = self.timed(|flight| flight.advance(&mut conn));
            self.withheld |= take_withheld();
            advanced.map_err(|error| {
                if self.unexpected {
                    unexpected()
                } else {
                    error.into()
                }
            })?;
            self.keyed = conn.negotiated_key_exchange_group().is_some();
            if !conn.is_handshaking() {
                self.cost.elapsed = self.elapsed();
                return Ok(conn);
            }
        }
    }

    /// Sends what rustls has to say, in one go if the socket takes it.
    async fn send<IO: AsyncWrite + Unpin>(&mut self, io: &mut IO) -> Result<(), ClientError> {
        let sent = self.flight.send(io, &mut self.cost.bytes_out).await;
        sent.map_err(|_| ClientError::Vanished)
    }

    /// Says why the handshake ends, whether or not it reaches anybody: the alert of rustls, or the one that it
    /// did not send and that can still be sent in plaintext (RFC 8446 §6.2).
    async fn say<IO: AsyncWrite + Unpin>(&mut self, io: &mut IO, error: &ClientError) {
        let owed = !self.keyed && self.flight.owes_alert();
        if let Some(alert) = error.alert().filter(|_| owed) {
            self.flight.outgoing.extend_from_slice(&fatal_alert(alert));
        }
        let _ = self.send(io).await;
    }

    fn timed<T>(&mut self, work: impl FnOnce(&mut Flight) -> T) -> T {
        self.cost.timed(|| work(&mut self.flight))
    }

    fn elapsed(&self) -> Duration {
        self.begun.map(|at| at.elapsed()).unwrap_or_default()
    }

    fn finish<IO: AsyncRead + AsyncWrite + Unpin>(
        mut self,
        io: IO,
        conn: UnbufferedClientConnection,
        peer: &Peer,
        counters: Counters,
    ) -> Result<(TlsStream<IO>, Session), Box<Failure>> {
        let internal = |what: &str| ClientError::Internal(what.to_owned());
        let (chain, now) = (conn.peer_certificates().unwrap_or_default(), now());
        let facts = peer.with.verified.facts(chain, &peer.name, now);
        let Some(mut session) = self.session(&conn, facts.as_ref()) else {
            return Err(self.fail(internal("the session has no facts")));
        };
        if session.kind != HandshakeKind::Resumed {
            if let (Some(tickets), Some(facts)) = (&self.tickets, &facts) {
                tickets.verified(facts.until);
            }
        } else if let Err(ended) = still_verified(facts.as_ref(), now) {
            return Err(self.fail(ended));
        }
        if let Some(tickets) = &self.tickets {
            tickets.of_server(chain);
        }
        let incoming = self.tickets.as_ref().map(|tickets| tickets.incoming());
        let Some(keys) = establish(conn, counters.tickets, incoming.unwrap_or_default()) else {
            return Err(self.fail(internal("the keys cannot be taken over")));
        };
        let pending = BytesMut::from(&self.received[..]);
        let stream = TlsStream::new(io, keys, pending, Traffic::new(counters.traffic));
        let last = std::mem::take(&mut self.flight.outgoing);
        session.cost.bytes_out += last.len() as u64;
        Ok((stream.behind(last), session))
    }

    fn session(
        &self,
        conn: &UnbufferedClientConnection,
        server: Option<&Facts>,
    ) -> Option<Session> {
        let group = conn.negotiated_key_exchange_group()?;
        Some(Session {
            group: Group::from_code_point(group.name())?,
            kind: match conn.handshake_kind()? {
                rustls::HandshakeKind::Full => HandshakeKind::Full,
                rustls::HandshakeKind::FullWithHelloRetryRequest => HandshakeKind::Retried,
                rustls::HandshakeKind::Resumed => HandshakeKind::Resumed,
            },
            retried: self.retried,
            offered: self.offer.as_ref()?.class(),
            suite: suite_name(conn.negotiated_cipher_suite()?.suite()),
            alpn: match conn.alpn_protocol() {
                Some(b"h2") => Alpn::Http2,
                _ => Alpn::Http1,
            },
            server_name: None,
            peer: server.and_then(|server| server.peer.clone()),
            classical: None,
            chain: Vec::new(),
            withheld: self.withheld,
            cost: self.cost,
        })
    }

    fn fail(mut self, error: ClientError) -> Box<Failure> {
        self.cost.elapsed = self.elapsed();
        self.cost.bytes_in += self.received.len() as u64;
        Box::new(Failure {
            error,
            offer: self.offer,
            cost: self.cost,
        })
    }
}

/// A handshake that resumes verifies nothing: what was verified before must not have ended.
fn still_verified(server: Option<&Facts>, now: i64) -> Result<(), ClientError> {
    match server.and_then(|server| server.end) {
        Some(end) if end >= now => Ok(()),
        _ => {
            let ended = "or a CA above it has expired since it was verified";
            Err(ClientError::ServerExpired(ended.to_owned()))
        }
    }
}

fn unexpected() -> ClientError {
    ClientError::Misbehaved(PeerMisbehaved::TooManyEmptyFragments)
}

/// Takes the keys over from rustls.
fn establish(
    conn: UnbufferedClientConnection,
    tickets: TicketCounters,
    incoming: Arc<AtomicUsize>,
) -> Option<Established> {
    let (keys, kernel) = conn.dangerous_into_kernel_connection().ok()?;
    Some(Established {
        opener: Keys::new(keys.rx).ok()?,
        sealer: Keys::new(keys.tx).ok()?,
        limit: confidentiality_limit(kernel.negotiated_cipher_suite())?,
        secrets: Secrets::Client(Box::new(ClientSide::new(kernel, tickets, incoming))),
    })
}
