//! The upstream: connections to it, kept for reuse.

pub(crate) mod http2;
mod permits;
mod socket;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

pub(crate) use self::permits::Priority;
pub use self::permits::UpstreamPermits;
use self::permits::{IdleSockets, SocketPermit};
pub(crate) use self::socket::Socket;
use crate::panics::OnPanic;
use crate::proxy::codec::h1::connection::H1;
use crate::proxy::error::UpstreamError;
use crate::proxy::origin::{HTTP1, HTTP2, KeptStream, Origin, Target};
use crate::proxy::settings::{Settings, UpstreamAddr};

/// Where connections go.
pub(crate) enum Dial {
    /// To a socket of this host, in plaintext.
    Local(UpstreamAddr),
    /// To a server elsewhere, over TLS.
    Origin(Arc<Origin>, Target),
}

/// Connections to one upstream.
pub(crate) struct Upstream {
    dial: Dial,
    connect_timeout: Duration,
    idle_timeout: Duration,
    max_idle: usize,
    permits: Arc<UpstreamPermits>,
    idle: Mutex<Vec<IdleConn>>,
    http2: http2::Pool,
    /// What stands in `host` when the client named none.
    pub(crate) default_host: String,
    /// What stands in `:scheme`.
    pub(crate) scheme: &'static str,
}

struct IdleConn {
    connection: Box<H1<Socket>>,
    since: Instant,
}

/// A connection ready for a request.
pub(crate) struct Lease {
    pub(crate) connection: Box<H1<Socket>>,
    /// It served a request before, so it may have been closed meanwhile.
    pub(crate) reused: bool,
}

impl Upstream {
    pub(crate) fn new(
        dial: Dial,
        settings: &Settings,
        max_idle: usize,
        permits: &Arc<UpstreamPermits>,
        panicked: OnPanic,
    ) -> Arc<Self> {
        let (default_host, scheme) = match &dial {
            Dial::Local(UpstreamAddr::Tcp(address)) => (address.to_string(), "http"),
            Dial::Local(UpstreamAddr::Unix(_) | UpstreamAddr::Tunnel(_)) => {
                ("localhost".to_owned(), "http")
            }
            Dial::Origin(_, target) => (target.authority(), "https"),
        };
        let upstream = Arc::new(Self {
            dial,
            connect_timeout: settings.connect_timeout,
            idle_timeout: settings.upstream_idle_timeout,
            max_idle,
            permits: Arc::clone(permits),
            idle: Mutex::new(Vec::new()),
            http2: http2::Pool::new(panicked),
            default_host,
            scheme,
        });
        let idle: Weak<dyn IdleSockets> = Arc::downgrade(&upstream) as _;
        permits.register(idle);
        upstream
    }

    /// The target, if it is a server elsewhere.
    pub(crate) fn target(&self) -> Option<&Target> {
        match &self.dial {
            Dial::Origin(_, target) => Some(target),
            Dial::Local(_) => None,
        }
    }

    /// A new connection, once the process has a descriptor for it. `alpn`: what it is for.
    pub(crate) async fn connect(
        &self,
        priority: Priority,
        alpn: &str,
    ) -> Result<Socket, UpstreamError> {
        let permit = self.permits.socket(priority, self.connect_timeout).await?;
        let address = match &self.dial {
            Dial::Local(address) => address,
            Dial::Origin(origin, target) => {
                // Boxed: every request would be as large as it. It has timeouts of its own.
                let connecting = Box::pin(origin.connect(target, Some(alpn))).await;
                let failed = |error| UpstreamError::Origin(Box::new(error));
                let stream = KeptStream::new(connecting.map_err(failed)?, origin, target);
                return Ok(Socket::secured(stream, permit));
            }
        };
        self.dial(address, permit).await
    }

    /// A new connection to an address of this host that the client of a tunnel names.
    pub(crate) async fn connect_to(&self, address: SocketAddr) -> Result<Socket, UpstreamError> {
        let permit = self.permits.socket(Priority::First, self.connect_timeout);
        self.dial(&UpstreamAddr::Tcp(address), permit.await?).await
    }

    async fn dial(
        &self,
        address: &UpstreamAddr,
        permit: SocketPermit,
    ) -> Result<Socket, UpstreamError> {
        let connecting = Socket::connect(address, permit);
        match tokio::time::timeout(self.connect_timeout, connecting).await {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(UpstreamError::Timeout),
        }
    }

    /// An idle connection if one is alive, else a new one.
    ///
    /// `probe_socket`: the request cannot be sent twice, so a close that has not been noticed yet is
    /// worth a system call.
    pub(crate) async fn lease(
        &self,
        probe_socket: bool,
        priority: Priority,
    ) -> Result<Lease, UpstreamError> {
        if let Some(connection) = self.checkout(probe_socket, priority) {
            return Ok(Lease {
                connection,
                reused: true,
            });
        }
        self.lease_new(priority).await
    }

    /// A new connection, whatever is kept.
    pub(crate) async fn lease_new(&self, priority: Priority) -> Result<Lease, UpstreamError> {
        Ok(Lease {
            connection: Box::new(
                H1::new(self.connect(priority, HTTP1).await?).telling(Socket::untaken),
            ),
            reused: false,
        })
    }

    /// A stream on a shared HTTP/2 connection. Many clients share it: that one of them has several streams
    /// is no reason to wait.
    pub(crate) async fn open_stream(&self) -> Result<http2::Opening, UpstreamError> {
        if let Some(opening) = self.http2.reuse().await {
            return Ok(opening);
        }
        // Boxed: it is rare, and every request would be as large as it.
        let connect = self.connect(Priority::First, HTTP2);
        Box::pin(self.http2.open_stream(self.connect_timeout, connect)).await
    }

    /// Keeps a connection for the next request, or drops it if there are enough or if its descriptor is
    /// waited for. That is looked at under the lock, which [`Upstream::evict_idle`] takes too: who waits
    /// misses none.
    pub(crate) fn checkin(&self, mut connection: Box<H1<Socket>>) {
        connection.shrink_buffers();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.max_idle && !self.permits.is_contended() {
            idle.push(IdleConn {
                connection,
                since: Instant::now(),
            });
        }
    }

    /// The most recently used one that is still quiet; older ones are the first to go stale.
    fn checkout(&self, probe_socket: bool, priority: Priority) -> Option<Box<H1<Socket>>> {
        loop {
            let mut kept = self
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop()?;
            if !self.is_fresh(&mut kept, probe_socket) {
                continue;
            }
            let mut connection = kept.connection;
            let permit = connection.stream_mut().permit();
            if priority == Priority::First || self.permits.admit_additional(permit) {
                return Some(connection);
            }
            self.checkin(connection);
            return None;
        }
    }

    fn is_fresh(&self, kept: &mut IdleConn, probe_socket: bool) -> bool {
        kept.since.elapsed() < self.idle_timeout
            && kept.connection.stream_mut().is_idle(probe_socket)
    }

    /// Closes idle connections that are too old or were closed by the server.
    fn sweep(&self) {
        self.http2.sweep(self.idle_timeout);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain_mut(|kept| self.is_fresh(kept, false));
        if idle.is_empty() {
            idle.shrink_to_fit();
        }
    }

    /// Sweeps every second until nobody holds the upstream any more.
    pub(crate) async fn evict_idle_loop(self: Arc<Self>) {
        let held = Arc::downgrade(&self);
        drop(self);
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            match held.upgrade() {
                Some(upstream) => upstream.sweep(),
                None => return,
            }
        }
    }
}

impl IdleSockets for Upstream {
    fn evict_idle(&self, additional: bool) -> bool {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let helps =
            |kept: &IdleConn| !additional || kept.connection.stream().has_additional_permit();
        let oldest = idle.iter().position(helps);
        let evicted = oldest.map(|oldest| idle.remove(oldest));
        drop(idle);
        if evicted.is_none() && !additional {
            // It gives its descriptor back when its task has ended.
            self.http2.evict_idle();
        }
        evicted.is_some()
    }
}
