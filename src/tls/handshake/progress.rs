//! The course of a handshake: records in, turns to compute, flights out.

mod end;

use std::borrow::Cow;
use std::future::poll_fn;
use std::mem::take;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rustls::PeerMisbehaved;
use rustls::server::UnbufferedServerConnection;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::flight::Flight;
use super::outcome::Cost;
use super::step::advance;
use crate::fairness::Member;
use crate::tls::error::HandshakeError;
use crate::tls::hello::{self, ClassicalHello};
use crate::tls::plaintext::Begins;
use crate::tls::policy::Offer;
use crate::tls::queue::{Called, HandshakeQueue};
use crate::tls::record::{RecordRules, fatal_alert, is_too_long_plaintext, record_length, warning};
use crate::tls::server::{TlsServer, skipping_early_data};
use crate::tls::signing::SigningThreads;
use crate::tls::trust::Noted;

/// How long a client may keep us waiting for the rest of a handshake that cost us a key exchange.
const FLIGHT_TIMEOUT: Duration = Duration::from_secs(5);

/// Records in which a client may send its side of a handshake: each may be a byte, and putting a
/// message together out of them is work.
const MAX_RECORDS: usize = 4096;

/// A change_cipher_spec that nobody may send: rustls answers it with `unexpected_message` (RFC 8446 §5),
/// under the keys in use.
const UNEXPECTED: [u8; 6] = [20, 3, 3, 0, 1, 2];

/// When a client that has sent nothing is given up.
type Overdue = Option<Pin<Box<dyn Future<Output = ()> + Send>>>;

/// A handshake under way.
#[derive(Default)]
pub(super) struct Progress {
    /// Received and not yet given to rustls.
    received: BytesMut,
    /// Records of the client so far.
    records: usize,
    rules: RecordRules,
    /// One of them must not be, behind the ServerHello.
    unexpected: bool,
    flight: Flight,
    first_byte: Option<Instant>,
    /// When a client without a first byte is given up.
    overdue: Overdue,
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
    pub(super) fn after(received: BytesMut, overdue: Overdue) -> Self {
        Self {
            overdue: overdue.filter(|_| received.is_empty()),
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
        let (offer, particulars) = hello::read(&self.flight.incoming);
        self.offer = offer;
        if let Some(refusal) = particulars.refusal {
            return Err(refusal);
        }
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
        let mut config = config.ok_or(HandshakeError::Internal)?;
        if particulars.early_data {
            config = skipping_early_data(&config);
        }
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
            advanced.map_err(|error| if self.unexpected { unexpected() } else { error })?;
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
            // A hello behind it would not be looked at: the client gave up before. Between the records of a
            // hello it is unexpected, as rustls says (RFC 8446 §5.1).
            let is_first = incoming.len() == record.len();
            if let Some(alert) = warning(&record).filter(|_| is_first) {
                return Err(rustls::Error::AlertReceived(alert).into());
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
            if self.flight.awaits_hello() && is_too_long_plaintext(&self.received) {
                return Err(HandshakeError::Oversized);
            }
            let undecided = self.cost.bytes_in == 0
                && server.plaintext_begins(&self.received) == Begins::Perhaps;
            if let Some(length) = record_length(&self.received).filter(|_| !undecided) {
                self.records += 1;
                if self.records > MAX_RECORDS {
                    return Err(HandshakeError::Malformed);
                }
                self.cost.bytes_in += length as u64;
                let refused = self
                    .rules
                    .refuses(&self.received, !self.flight.awaits_hello());
                if refused && self.flight.owes_alert() {
                    return Err(unexpected());
                }
                self.unexpected |= refused;
                let record = self.received.split_to(length);
                return Ok(if refused {
                    UNEXPECTED[..].into()
                } else {
                    record
                });
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
        let (half_open, overdue) = (&mut self.half_open, &mut self.overdue);
        poll_fn(|cx| {
            if let Poll::Ready(read) = reading.as_mut().poll(cx) {
                *overdue = None;
                return Poll::Ready(Ok(read));
            }
            if let Some(overdue) = overdue
                && overdue.as_mut().poll(cx).is_ready()
            {
                return Poll::Ready(Err(HandshakeError::NoHello));
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
}

fn unexpected() -> HandshakeError {
    HandshakeError::Misbehaved(PeerMisbehaved::TooManyEmptyFragments)
}
