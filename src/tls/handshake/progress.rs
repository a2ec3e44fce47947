//! The course of a handshake: records in, turns to compute, flights out.

use std::borrow::Cow;
use std::future::poll_fn;
use std::mem::take;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rustls::PeerMisbehaved;
use rustls::server::UnbufferedServerConnection;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::flight::Flight;
use super::outcome::{Alpn, Cost, Failure, HandshakeKind, Session};
use super::step::advance;
use crate::fairness::Member;
use crate::io::{Traffic, TrafficCounters};
use crate::tls::error::HandshakeError;
use crate::tls::hello::{self, ClassicalHello};
use crate::tls::plaintext::Begins;
use crate::tls::policy::{Group, Offer, confidentiality_limit, suite_name};
use crate::tls::protection::Keys;
use crate::tls::queue::{Called, HandshakeQueue};
use crate::tls::record::{fatal_alert, is_empty_message, record_length};
use crate::tls::secrets::Secrets;
use crate::tls::server::TlsServer;
use crate::tls::signing::SigningThreads;
use crate::tls::stream::{Established, TlsStream};
use crate::tls::tickets::resumed_peer;
use crate::tls::trust::Noted;

/// How long a client may keep us waiting for the rest of a handshake that cost us a key exchange.
const FLIGHT_TIMEOUT: Duration = Duration::from_secs(5);

/// Records in which a client may send its side of a handshake: each may be a byte, and putting a
/// message together out of them is work.
const MAX_RECORDS: usize = 4096;

/// A change_cipher_spec that nobody may send: rustls answers it with `unexpected_message` (RFC 8446 §5),
/// under the keys in use.
const UNEXPECTED: [u8; 6] = [20, 3, 3, 0, 1, 2];

/// A handshake under way.
#[derive(Default)]
pub(super) struct Progress {
    /// Received and not yet given to rustls.
    received: BytesMut,
    /// Records of the client so far.
    records: usize,
    /// One of them was an empty message behind the ServerHello.
    empty: bool,
    flight: Flight,
    first_byte: Option<Instant>,
    /// Its place among the handshakes that wait for their client, from the first wait on.
    half_open: Option<Member>,
    offer: Option<Offer>,
    server_name: Option<Box<str>>,
    classical: Option<Box<ClassicalHello>>,
    /// What the verifier of client certificates learned.
    noted: Noted,
    pub(super) cost: Cost,
}

impl Progress {
    /// Of a client that has sent this so far.
    pub(super) fn after(received: BytesMut) -> Self {
        Self {
            first_byte: (!received.is_empty()).then(Instant::now),
            received,
            ..Self::default()
        }
    }

    pub(super) async fn drive<IO>(
        &mut self,
        io: &mut IO,
        client: IpAddr,
        server: &TlsServer,
        queue: &Arc<HandshakeQueue>,
    ) -> Result<UnbufferedServerConnection, HandshakeError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        self.client_hello(io, client, server).await?;
        self.turn(io, client, queue).await?;
        self.offer = hello::inspect(&self.flight.incoming);
        if server.wants_server_name {
            self.server_name = hello::server_name(&self.flight.incoming);
        }
        if server.wants_classical && self.is_classical_for(server) {
            self.classical = hello::classical(&self.flight.incoming);
        }
        if server.refuses_name_in(&self.flight.incoming) {
            return Err(HandshakeError::UnknownServerName);
        }
        // What could not be read is refused by rustls, whatever the config.
        let config = server.config_for(self.offer.as_ref());
        let config = config.ok_or(HandshakeError::Internal)?;
        let mut conn = UnbufferedServerConnection::new(config)?;
        loop {
            let advanced = match &server.signing {
                Some(threads) if self.flight.awaits_hello() => {
                    let elsewhere = self.advance_on(threads, conn, server.asks_clients);
                    let advanced;
                    (conn, advanced) = Box::pin(elsewhere).await?;
                    advanced
                }
                _ => self
                    .advance(&mut conn, server.asks_clients)
                    .map_err(Into::into),
            };
            if advanced.is_ok() && !conn.is_handshaking() {
                self.cost.elapsed = self.since_first_byte();
            }
            let sent = self.send(io).await;
            advanced.map_err(|error| if self.empty { empty_message() } else { error })?;
            sent?;
            if !conn.is_handshaking() {
                return Ok(conn);
            }
            let record = tokio::time::timeout(FLIGHT_TIMEOUT, self.record(io, client, server));
            let record = record.await.map_err(|_| HandshakeError::Timeout)??;
            self.flight.incoming.extend_from_slice(&record);
            // What follows the ServerHello is cheap; what follows a HelloRetryRequest is not.
            if self.flight.awaits_hello() {
                self.turn(io, client, queue).await?;
            }
        }
    }

    /// Whether the client lists no group that protects it, of those that the policy has.
    fn is_classical_for(&self, server: &TlsServer) -> bool {
        let offer = self.offer.as_ref();
        offer.is_some_and(|offer| server.policy().leaves_classical(offer))
    }

    /// Waits until this handshake may be computed. A client that goes away meanwhile has no turn.
    async fn turn<IO: AsyncRead + Unpin>(
        &mut self,
        io: &mut IO,
        client: IpAddr,
        queue: &Arc<HandshakeQueue>,
    ) -> Result<(), HandshakeError> {
        let Some(mut waiting) = queue.enter(client) else {
            return Ok(());
        };
        // It is not the client that keeps us waiting.
        self.half_open = None;
        let mut reading = pin!(io.read_buf(&mut self.received));
        let mut listens = true;
        poll_fn(|cx| {
            match waiting.poll_called(cx) {
                Poll::Ready(Called::ToCompute) => return Poll::Ready(Ok(())),
                Poll::Ready(Called::ToGo) => {
                    return Poll::Ready(Err(HandshakeError::ShedFromQueue));
                }
                Poll::Pending => {}
            }
            if listens && let Poll::Ready(read) = reading.as_mut().poll(cx) {
                if !read.is_ok_and(|count| count > 0) {
                    return Poll::Ready(Err(HandshakeError::Vanished));
                }
                listens = false;
            }
            Poll::Pending
        })
        .await
    }

    /// Collects the ClientHello, however many records and reads it takes.
    async fn client_hello<IO>(
        &mut self,
        io: &mut IO,
        client: IpAddr,
        server: &TlsServer,
    ) -> Result<(), HandshakeError>
    where
        IO: AsyncRead + Unpin,
    {
        let mut collected = hello::HelloAssembler::default();
        loop {
            let record = self.record(io, client, server).await?;
            let incoming = &mut self.flight.incoming;
            incoming.extend_from_slice(&record);
            if server.plaintext_begins(incoming) == Begins::Yes {
                return Err(HandshakeError::Plaintext);
            }
            if !collected.wants_more(&record) {
                return Ok(());
            }
        }
    }

    /// The next whole record. Anything that cannot be one is handed on for rustls to refuse.
    async fn record<IO: AsyncRead + Unpin>(
        &mut self,
        io: &mut IO,
        client: IpAddr,
        server: &TlsServer,
    ) -> Result<BytesMut, HandshakeError> {
        loop {
            let undecided = self.cost.bytes_in == 0
                && server.plaintext_begins(&self.received) == Begins::Perhaps;
            if let Some(length) = record_length(&self.received).filter(|_| !undecided) {
                self.records += 1;
                if self.records > MAX_RECORDS {
                    return Err(HandshakeError::Malformed);
                }
                self.cost.bytes_in += length as u64;
                // RFC 8446 §5.1 forbids them; rustls would let some pass, or find them malformed.
                let empty = is_empty_message(&self.received);
                if empty && self.flight.owes_alert() {
                    return Err(empty_message());
                }
                self.empty |= empty;
                let record = self.received.split_to(length);
                return Ok(if empty { UNEXPECTED[..].into() } else { record });
            }
            self.received.reserve(2048);
            if self.first_byte.is_some() {
                let enter = || server.half_open.enter(client);
                self.half_open.get_or_insert_with(enter);
            }
            match self.read(io).await? {
                Ok(0) | Err(_) if self.first_byte.is_none() => {
                    return Err(HandshakeError::NoHello);
                }
                Ok(0) | Err(_) => return Err(HandshakeError::Vanished),
                Ok(_) => {
                    self.first_byte.get_or_insert_with(Instant::now);
                }
            }
        }
    }

    /// Reads, or learns that another handshake needs the room. The socket comes first: a client whose
    /// bytes are there has not kept us waiting.
    async fn read<IO: AsyncRead + Unpin>(
        &mut self,
        io: &mut IO,
    ) -> Result<std::io::Result<usize>, HandshakeError> {
        let mut reading = pin!(io.read_buf(&mut self.received));
        let half_open = &mut self.half_open;
        poll_fn(|cx| {
            if let Poll::Ready(read) = reading.as_mut().poll(cx) {
                return Poll::Ready(Ok(read));
            }
            match half_open.as_mut().map(|member| member.poll_evicted(cx)) {
                Some(Poll::Ready(())) => Poll::Ready(Err(HandshakeError::Shed)),
                _ => Poll::Pending,
            }
        })
        .await
    }

    /// Sends what rustls has to say, in one go if the socket takes it.
    async fn send<IO: AsyncWrite + Unpin>(&mut self, io: &mut IO) -> Result<(), HandshakeError> {
        let sent = self.flight.send(io, &mut self.cost.bytes_out).await;
        sent.map_err(|_| HandshakeError::Vanished)
    }

    /// What is still to be said about an error: an answer that a person can read, or the alert that
    /// rustls did not send (RFC 8446 §6.2).
    pub(super) fn final_reply(
        &self,
        error: &HandshakeError,
        server: &TlsServer,
    ) -> Option<Cow<'static, [u8]>> {
        if matches!(error, HandshakeError::Plaintext) {
            return server.plaintext_reply().map(Cow::Borrowed);
        }
        let alert = error.alert().filter(|_| self.flight.owes_alert())?;
        Some(fatal_alert(alert).to_vec().into())
    }

    /// Lets rustls work until it waits for the client.
    fn advance(
        &mut self,
        conn: &mut UnbufferedServerConnection,
        asks_client: bool,
    ) -> Result<(), rustls::Error> {
        let (flight, noted, cost) = (&mut self.flight, &mut self.noted, &mut self.cost);
        advance(flight, noted, cost, conn, asks_client)
    }

    /// The same on a thread that may wait for a token. If it waits in vain, the connection is lost to it.
    async fn advance_on(
        &mut self,
        threads: &SigningThreads,
        mut conn: UnbufferedServerConnection,
        asks_client: bool,
    ) -> Result<(UnbufferedServerConnection, Result<(), HandshakeError>), HandshakeError> {
        // It is not the client that keeps us waiting.
        self.half_open = None;
        let (mut flight, mut noted) = (take(&mut self.flight), take(&mut self.noted));
        let mut cost = self.cost;
        let work = move || {
            let advanced = advance(&mut flight, &mut noted, &mut cost, &mut conn, asks_client);
            (flight, noted, cost, conn, advanced)
        };
        let (flight, noted, cost, conn, advanced) = threads.run(work).await?;
        (self.flight, self.noted, self.cost) = (flight, noted, cost);
        let advanced = advanced.map_err(|error| match error {
            // Nothing else of ours runs before the ServerHello.
            rustls::Error::Other(cause) => {
                self.flight.retract();
                HandshakeError::SignerFailed(cause.to_string())
            }
            error => error.into(),
        });
        Ok((conn, advanced))
    }

    fn since_first_byte(&self) -> Duration {
        self.first_byte.map(|at| at.elapsed()).unwrap_or_default()
    }

    pub(super) fn finish<IO: AsyncRead + AsyncWrite + Unpin>(
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
            cost: self.cost,
        })
    }

    pub(super) fn fail(mut self, error: HandshakeError) -> Box<Failure> {
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

fn empty_message() -> HandshakeError {
    HandshakeError::Misbehaved(PeerMisbehaved::TooManyEmptyFragments)
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
