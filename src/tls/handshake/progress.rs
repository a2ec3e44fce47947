//! The course of a handshake: records in, turns to compute, flights out.

mod end;
mod records;

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
use crate::tls::policy::Offer;
use crate::tls::queue::{Called, HandshakeQueue};
use crate::tls::record::{RecordRules, fatal_alert};
use crate::tls::server::{TlsServer, skipping_early_data};
use crate::tls::signing::SigningThreads;
use crate::tls::trust::Noted;

/// How long a client may keep us waiting for the rest of a handshake that cost us a key exchange.
const FLIGHT_TIMEOUT: Duration = Duration::from_secs(5);

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
                    let elsewhere = self.advance_on(threads, client, conn, server.asks_clients);
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
        client: IpAddr,
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
        let (flight, noted, cost, conn, advanced) = threads.run(client, work).await?;
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
