//! What rustls keeps of an established connection, by the side that we are: it makes the next keys, and
//! on the client's side it keeps session tickets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::IntCounter;
use rustls::client::ClientConnectionData;
use rustls::kernel::KernelConnection;
use rustls::server::ServerConnectionData;
use rustls::{AlertDescription, ConnectionTrafficSecrets, Error};

use super::post_handshake::{KeyUpdate, PostHandshake};
use super::protection::OVERHEAD;
use super::server_messages::{ServerMessage, ServerMessages};

/// The next key with the number of its first record.
type NextKey = (u64, ConnectionTrafficSecrets);

/// What rustls keeps of a connection.
#[expect(
    clippy::large_enum_variant,
    reason = "a listener has thousands of the first, and no box to follow"
)]
pub(super) enum Secrets {
    /// We are the server.
    Server(KernelConnection<ServerConnectionData>),
    /// We are the client.
    Client(Box<ClientSide>),
}

impl Secrets {
    pub(super) fn client(&self) -> Option<&ClientSide> {
        match self {
            Self::Server(_) => None,
            Self::Client(client) => Some(client),
        }
    }

    pub(super) fn update_rx_secret(&mut self) -> Result<NextKey, Error> {
        match self {
            Self::Server(kernel) => kernel.update_rx_secret(),
            Self::Client(client) => client.kernel.update_rx_secret(),
        }
    }

    pub(super) fn update_tx_secret(&mut self) -> Result<NextKey, Error> {
        match self {
            Self::Server(kernel) => kernel.update_tx_secret(),
            Self::Client(client) => client.kernel.update_tx_secret(),
        }
    }
}

/// Where the tickets of one origin of connections are counted.
#[derive(Clone)]
pub struct TicketCounters {
    /// How many.
    pub received: IntCounter,
    /// Their records below TLS, without padding.
    pub bytes: IntCounter,
}

/// A connection that we began.
pub(super) struct ClientSide {
    kernel: KernelConnection<ClientConnectionData>,
    messages: ServerMessages,
    counters: TicketCounters,
    /// Says to who keeps them how large the next one is.
    incoming: Arc<AtomicUsize>,
    /// Tickets received.
    pub(super) tickets: u64,
    /// What the server ended the connection with.
    pub(super) fatal: Option<AlertDescription>,
}

impl ClientSide {
    pub(super) fn new(
        kernel: KernelConnection<ClientConnectionData>,
        counters: TicketCounters,
        incoming: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            kernel,
            messages: ServerMessages::default(),
            counters,
            incoming,
            tickets: 0,
            fatal: None,
        }
    }

    /// A record of handshake content: tickets are kept, a change of key is handed on.
    pub(super) fn handshake(
        &mut self,
        content: &[u8],
        post_handshake: &mut PostHandshake,
    ) -> Result<Option<KeyUpdate>, AlertDescription> {
        post_handshake.of_server(content)?;
        self.messages.add(content);
        let holds_ticket = self.messages.is_ticket();
        let mut update = None;
        while let Some(message) = self.messages.next()? {
            match message {
                ServerMessage::Update(asked) => update = Some(asked),
                ServerMessage::Ticket(ticket) => {
                    self.tickets += 1;
                    self.counters.received.inc();
                    self.incoming.store(ticket.len(), Ordering::Relaxed);
                    let kept = self.kernel.handle_new_session_ticket(&ticket);
                    kept.map_err(|_| AlertDescription::DecodeError)?;
                }
            }
        }
        if holds_ticket {
            self.counters
                .bytes
                .inc_by((content.len() + OVERHEAD) as u64);
        }
        post_handshake.set_begun(self.messages.is_begun());
        Ok(update)
    }
}
