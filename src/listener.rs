//! Bind and accept: addresses, back-off, the limit of connections.
//!
//! SO_REUSEPORT is never set: beside an app that sets it, both could bind one port, and a sidecar
//! that takes a port over would no longer make a forgotten `0.0.0.0` fail.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::drain::{Phase, Watch};

/// What one listener's socket side is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Label of metrics and log lines; unique.
    pub name: String,
    /// Addresses to bind, each exclusively (SO_REUSEPORT is never set).
    pub addresses: Vec<SocketAddr>,
    /// Connections open at once; more wait in the kernel's queue.
    pub max_connections: usize,
    /// Length of the kernel's queue of connections not yet accepted.
    pub backlog: i32,
}

/// An address that cannot be bound.
#[derive(Debug, Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error(
        "listener `{listener}`: {address} is in use by another process: stop it, or choose another address"
    )]
    InUse {
        /// The listener's name.
        listener: String,
        /// The address.
        address: SocketAddr,
    },
    /// Any other refusal of the kernel.
    #[error("listener `{listener}`: cannot bind {address}: {source}")]
    Other {
        /// The listener's name.
        listener: String,
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Bound sockets of one listener.
#[derive(Debug)]
pub struct Listener {
    name: String,
    sockets: Vec<TcpListener>,
    max_connections: usize,
}

/// When TCP begins to ask a silent peer whether it is there, how often, and how many times.
const KEEPALIVE_AFTER: Duration = Duration::from_mins(1);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);
const KEEPALIVE_TIMES: u32 = 4;

impl Listener {
    /// Binds every address; needs a runtime.
    pub fn bind(settings: &Settings) -> Result<Self, BindError> {
        let bind =
            |address: &SocketAddr| Self::bind_one(&settings.name, *address, settings.backlog);
        Ok(Self {
            name: settings.name.clone(),
            sockets: settings
                .addresses
                .iter()
                .map(bind)
                .collect::<Result<_, _>>()?,
            max_connections: settings.max_connections,
        })
    }

    /// Binds a single address for the listener of that name.
    pub(crate) fn bind_one(
        name: &str,
        address: SocketAddr,
        backlog: i32,
    ) -> Result<TcpListener, BindError> {
        bound(address, backlog).map_err(|source| {
            let listener = name.to_owned();
            match source.kind() {
                io::ErrorKind::AddrInUse => BindError::InUse { listener, address },
                _ => BindError::Other {
                    listener,
                    address,
                    source,
                },
            }
        })
    }

    /// The addresses as bound: port 0 has become a real one.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets
            .iter()
            .filter_map(|socket| socket.local_addr().ok())
            .collect()
    }

    /// Accepts until the drain begins. `accepted` gets each connection with its place among the
    /// permitted ones; `failed` hears of errors, which never end the loop.
    pub async fn run<A, F>(self, drain: Watch, accepted: A, failed: F)
    where
        A: Fn(TcpStream, SocketAddr, OwnedSemaphorePermit) + Send + Sync + 'static,
        F: Fn(&'static str) + Send + Sync + 'static,
    {
        let places = Arc::new(Semaphore::new(self.max_connections));
        let mut drained = drain.reached(Phase::Draining);
        let (mut back_off, mut turn) = (BACK_OFF_MIN, 0);
        loop {
            let next = tokio::select! {
                biased;
                () = &mut drained => return,
                next = self.next(&places, &mut turn) => next,
            };
            match next {
                Ok((stream, client, place)) => {
                    back_off = BACK_OFF_MIN;
                    accepted(stream, client, place);
                }
                Err(error) => {
                    failed(accept_reason(&error));
                    tracing::warn!(listener = %self.name, %error, "accept failed, backing off");
                    tokio::select! {
                        () = &mut drained => return,
                        () = tokio::time::sleep(back_off) => {}
                    }
                    back_off = (back_off * 2).min(BACK_OFF_MAX);
                }
            }
        }
    }

    /// Takes the place first: without one the connection waits in the kernel's queue. One place for
    /// all sockets: a socket that waited with a place of its own would keep it from the others.
    async fn next(
        &self,
        places: &Arc<Semaphore>,
        turn: &mut usize,
    ) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let place = Arc::clone(places)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let (stream, client) = poll_fn(|cx| self.poll_accept(turn, cx)).await?;
        Ok((stream, client, place))
    }

    /// Accepts on whichever socket has a connection, beginning after the one that had the last.
    fn poll_accept(
        &self,
        turn: &mut usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        for offset in 0..self.sockets.len() {
            let index = (*turn + offset) % self.sockets.len();
            if let Poll::Ready(accepted) = self.sockets[index].poll_accept(cx) {
                *turn = index + 1;
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }
}

const BACK_OFF_MIN: Duration = Duration::from_millis(5);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

fn bound(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // The unspecified IPv6 address serves IPv4 too, whatever the host's default says.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit these on Linux, which saves their system calls.
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_EVERY)
        .with_retries(KEEPALIVE_TIMES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    TcpListener::from_std(socket.into())
}

/// Every label of an accept error.
pub(crate) const ACCEPT_REASONS: [&str; 5] = [
    "process_file_limit",
    "system_file_limit",
    "aborted",
    "memory",
    "other",
];

/// The label of an accept error (accept(2)), one of `ACCEPT_REASONS`.
pub(crate) fn accept_reason(error: &io::Error) -> &'static str {
    match error
        .raw_os_error()
        .map(rustix::io::Errno::from_raw_os_error)
    {
        Some(rustix::io::Errno::MFILE) => "process_file_limit",
        Some(rustix::io::Errno::NFILE) => "system_file_limit",
        Some(rustix::io::Errno::CONNABORTED) => "aborted",
        Some(rustix::io::Errno::NOBUFS | rustix::io::Errno::NOMEM) => "memory",
        _ => "other",
    }
}
