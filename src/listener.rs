//! Bind and accept: addresses, back-off, permits of connections. Every accept loop of the product uses
//! it: the sidecar's listeners and its admin port, the webhook and its admin port, the demo's stub.
//!
//! SO_REUSEPORT is never set: beside an app that sets it, both could bind one port, and a sidecar
//! that takes a port over would no longer make a forgotten `0.0.0.0` fail.

mod address;
mod admission;
mod bind;
mod reach;
mod same_path;
mod unix;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;

pub use self::address::Address;
pub(crate) use self::address::{Client, ClientIp};
use self::admission::SHED_REASONS;
pub use self::admission::{Activity, Admission, Permit};
pub use self::bind::{BindError, Bound};
pub use self::reach::Accepting;
pub(crate) use self::reach::{overlap, reaches};
pub(crate) use self::same_path::same_socket;
pub use self::unix::UnixSockets;
use crate::log_limit::LogLimit;
use crate::metrics::{ListenerSockets, Metrics};
use crate::panics;

/// What one listener's socket side is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Label of metrics and log lines; unique.
    pub name: String,
    /// The flag, and the key if there is one, that its addresses come from: for messages.
    pub setting: &'static str,
    /// Addresses to bind, each exclusively (SO_REUSEPORT is never set).
    pub addresses: Vec<SocketAddr>,
    /// Unix sockets beside them.
    pub unix: UnixSockets,
    /// Connections open at once. Beyond it an idle one is closed for each newcomer; while there is none,
    /// newcomers wait in the kernel's queue.
    pub max_connections: usize,
    /// So many more for clients of this host only; `None`: they share the others.
    pub loopback_connections: Option<usize>,
    /// Length of the kernel's queue of connections not yet accepted.
    pub backlog: i32,
}

impl Settings {
    /// Everything to bind.
    pub fn all(&self) -> impl Iterator<Item = Address> {
        let addresses = self.addresses.iter().copied().map(Address::Ip);
        let unix = self.unix.paths.iter().cloned().map(Address::Unix);
        addresses.chain(unix)
    }
}

/// Bound sockets of one listener, and the permits of its connections.
pub struct Listener {
    name: Arc<str>,
    sockets: Vec<Bound>,
    /// Accepted, and waits for its permit.
    waiting: Option<(TcpStream, SocketAddr)>,
    network: Arc<Admission>,
    /// Permits that only clients of this host get.
    loopback: Option<Arc<Admission>>,
    metrics: ListenerSockets,
    /// The socket that is looked at first.
    next: usize,
    back_off: Duration,
    warnings: LogLimit,
    lost_lines: Arc<LogLimit>,
}

/// The counters of a listener of that name.
pub fn counters(metrics: &Metrics, name: &str) -> ListenerSockets {
    metrics.sockets(name, &ACCEPT_REASONS, SHED_REASONS)
}

/// A connection that was accepted.
pub struct Accepted {
    /// The socket.
    pub stream: TcpStream,
    /// The other end.
    pub client: SocketAddr,
    /// Its permit, until dropped.
    pub permit: Permit,
}

impl Listener {
    /// Binds every address; needs a runtime.
    pub fn bind(settings: &Settings, metrics: ListenerSockets) -> Result<Self, BindError> {
        let sockets = settings
            .all()
            .map(|address| Bound::bind(settings, &address));
        let network = Admission::new(settings.max_connections, metrics.clone());
        let loopback = settings.loopback_connections;
        Ok(Self {
            loopback: loopback.map(|limit| Admission::new(limit, metrics.clone())),
            ..Self::over(
                &settings.name,
                sockets.collect::<Result<_, _>>()?,
                network,
                metrics,
            )
        })
    }

    /// Accepts on sockets that are bound, with permits that connections may hold already.
    pub fn over(
        name: &str,
        sockets: Vec<Bound>,
        permits: Arc<Admission>,
        metrics: ListenerSockets,
    ) -> Self {
        Self {
            name: name.into(),
            sockets,
            waiting: None,
            network: permits,
            loopback: None,
            metrics,
            next: 0,
            back_off: BACK_OFF_MIN,
            warnings: LogLimit::new(WARN_EVERY, 1),
            lost_lines: Arc::new(LogLimit::new(WARN_EVERY, 1)),
        }
    }

    /// Says of connections that were accepted and nobody serves any more. Those in the kernel's queue are reset by
    /// it, unseen.
    pub fn log_unserved(name: &str, sockets: &[Bound]) {
        let clients = sockets.iter().flat_map(|bound| &bound.waiting);
        for (_, client) in clients {
            tracing::info!(listener = %name, %client, "connection closed before it had a permit");
        }
    }

    /// Gives its sockets up, the connection that it accepted and had no permit for with the one it came by.
    pub fn into_sockets(mut self) -> Vec<Bound> {
        let accepted_by = self.next.saturating_sub(1);
        if let Some(bound) = self.sockets.get_mut(accepted_by) {
            bound.waiting.extend(self.waiting.take());
        }
        self.sockets
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The addresses of TCP as bound: port 0 has become a real one.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let bound = self.sockets.iter().filter_map(Bound::address);
        bound.filter_map(|address| address.ip()).collect()
    }

    /// The next connection with its permit. Errors of accept(2) are counted, logged and waited out.
    ///
    /// When every permit is taken, an idle connection is told to close and the newcomer is served. If
    /// there is none, the newcomer waits here, and those after it in the kernel's queue.
    ///
    /// A panic costs the connection in which it happened: it is counted, and the next one is accepted.
    /// Nothing is lost if this is given up.
    pub async fn accept(&mut self) -> Accepted {
        loop {
            if let Ok(accepted) = panics::caught(self.accept_next()).await {
                return accepted;
            }
            self.metrics.accept_panicked();
            self.waiting = None;
            // What made it panic may be there still.
            tokio::time::sleep(BACK_OFF_MIN).await;
        }
    }

    async fn accept_next(&mut self) -> Accepted {
        loop {
            // Kept here while it waits: the listener that takes the sockets over gets it too.
            if let Some((_, client)) = &self.waiting {
                let client = *client;
                let permit = self.admission(client).enter(client.ip()).await;
                if let Some((stream, client)) = self.waiting.take() {
                    return Accepted {
                        stream,
                        client,
                        permit,
                    };
                }
            }
            match poll_fn(|cx| self.poll_accept(cx)).await {
                Ok(accepted) => {
                    self.back_off = BACK_OFF_MIN;
                    self.waiting = Some(accepted);
                }
                Err(error) => self.wait_out(&error).await,
            }
        }
    }

    fn admission(&self, client: SocketAddr) -> &Arc<Admission> {
        match &self.loopback {
            Some(loopback) if client.ip().to_canonical().is_loopback() => loopback,
            _ => &self.network,
        }
    }

    /// For a connection that is lost on its way to another thread.
    pub fn lost(&self) -> Lost {
        Lost {
            listener: Arc::clone(&self.name),
            metrics: self.metrics.clone(),
            lines: Arc::clone(&self.lost_lines),
        }
    }

    async fn wait_out(&mut self, error: &io::Error) {
        let reason = accept_reason(error);
        self.metrics.accept_failed(reason);
        if let Some(suppressed) = self.warnings.admit() {
            tracing::warn!(listener = %self.name, %error, reason, suppressed, "accept failed, backing off");
        }
        if reason != "aborted" {
            // What it closes frees a descriptor and memory.
            self.network.shed_one();
        }
        tokio::time::sleep(self.back_off).await;
        self.back_off = (self.back_off * 2).min(BACK_OFF_MAX);
    }

    /// Accepts on whichever socket has a connection, beginning after the one that had the last.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        for offset in 0..self.sockets.len() {
            let index = (self.next + offset) % self.sockets.len();
            if let Poll::Ready(accepted) = self.sockets[index].poll_accept(cx) {
                self.next = index + 1;
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }
}

/// A connection whose socket the kernel would not watch: as good as not accepted.
pub struct Lost {
    listener: Arc<str>,
    metrics: ListenerSockets,
    lines: Arc<LogLimit>,
}

impl Lost {
    /// Counts and logs it.
    pub fn count(&self, client: SocketAddr, error: &io::Error) {
        self.metrics.accept_failed(accept_reason(error));
        if let Some(suppressed) = self.lines.admit() {
            tracing::warn!(listener = %self.listener, client = %Client(client), %error, suppressed, "connection dropped: its socket cannot be watched");
        }
    }
}

/// Between two warnings about one listener: a lack of descriptors must not fill the disk with log lines.
const WARN_EVERY: Duration = Duration::from_secs(10);

const BACK_OFF_MIN: Duration = Duration::from_millis(5);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// Every label of an accept error.
const ACCEPT_REASONS: [&str; 5] = [
    "process_file_limit",
    "system_file_limit",
    "aborted",
    "memory",
    "other",
];

/// The label of an accept error (accept(2)), one of `ACCEPT_REASONS`.
fn accept_reason(error: &io::Error) -> &'static str {
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

#[cfg(test)]
mod tests;
