//! The upstream: connections to it, kept for reuse.

pub(crate) mod http2;
mod permits;
mod socket;

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use self::permits::IdleSockets;
pub(crate) use self::permits::Priority;
pub use self::permits::UpstreamPermits;
pub(crate) use self::socket::Socket;
use crate::panics::OnPanic;
use crate::proxy::codec::h1::connection::H1;
use crate::proxy::error::UpstreamError;
use crate::proxy::settings::{Settings, UpstreamAddr};

/// Connections to one upstream.
pub(crate) struct Upstream {
    address: UpstreamAddr,
    connect_timeout: Duration,
    idle_timeout: Duration,
    max_idle: usize,
    permits: Arc<UpstreamPermits>,
    idle: Mutex<Vec<IdleConn>>,
    http2: http2::Pool,
    /// What stands in `host` when the client named none.
    pub(crate) default_host: String,
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
        settings: &Settings,
        max_idle: usize,
        permits: &Arc<UpstreamPermits>,
        panicked: OnPanic,
    ) -> Arc<Self> {
        let default_host = match &settings.upstream {
            UpstreamAddr::Tcp(address) => address.to_string(),
            UpstreamAddr::Unix(_) => "localhost".to_owned(),
        };
        let upstream = Arc::new(Self {
            address: settings.upstream.clone(),
            connect_timeout: settings.connect_timeout,
            idle_timeout: settings.upstream_idle_timeout,
            max_idle,
            permits: Arc::clone(permits),
            idle: Mutex::new(Vec::new()),
            http2: http2::Pool::new(panicked),
            default_host,
        });
        let idle: Weak<dyn IdleSockets> = Arc::downgrade(&upstream) as _;
        permits.register(idle);
        upstream
    }

    /// A new connection, once the process has a descriptor for it.
    pub(crate) async fn connect(&self, priority: Priority) -> Result<Socket, UpstreamError> {
        let permit = self.permits.socket(priority, self.connect_timeout).await?;
        let connecting = Socket::connect(&self.address, permit);
        match tokio::time::timeout(self.connect_timeout, connecting).await {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(UpstreamError::Timeout),
        }
    }

    /// A kept connection if there is a living one, else a new one.
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
            connection: Box::new(H1::new(self.connect(priority).await?)),
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
        let connect = self.connect(Priority::First);
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
            let kept = self
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop()?;
            if !self.is_fresh(&kept, probe_socket) {
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

    fn is_fresh(&self, kept: &IdleConn, probe_socket: bool) -> bool {
        kept.since.elapsed() < self.idle_timeout && kept.connection.stream().is_idle(probe_socket)
    }

    /// Closes kept connections that are too old or were closed by the server.
    fn sweep(&self) {
        self.http2.sweep(self.idle_timeout);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|kept| self.is_fresh(kept, false));
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
