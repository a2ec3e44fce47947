//! The upstream: connections to it, kept for reuse.

pub(crate) mod http2;
mod socket;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use self::socket::Socket;
use crate::proxy::codec::h1::connection::H1;
use crate::proxy::error::UpstreamError;
use crate::proxy::settings::{Settings, UpstreamAddr};

/// Connections to one upstream.
pub(crate) struct Upstream {
    address: UpstreamAddr,
    connect_timeout: Duration,
    idle_timeout: Duration,
    max_idle: usize,
    idle: Mutex<Vec<IdleConn>>,
    pub(crate) http2: http2::Pool,
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
    pub(crate) fn new(settings: &Settings, max_idle: usize) -> Self {
        let default_host = match &settings.upstream {
            UpstreamAddr::Tcp(address) => address.to_string(),
            UpstreamAddr::Unix(_) => "localhost".to_owned(),
        };
        Self {
            address: settings.upstream.clone(),
            connect_timeout: settings.connect_timeout,
            idle_timeout: settings.upstream_idle_timeout,
            max_idle,
            idle: Mutex::new(Vec::new()),
            http2: http2::Pool::default(),
            default_host,
        }
    }

    /// A new connection.
    pub(crate) async fn connect(&self) -> Result<Socket, UpstreamError> {
        let connecting = Socket::connect(&self.address);
        match tokio::time::timeout(self.connect_timeout, connecting).await {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(UpstreamError::Timeout),
        }
    }

    /// A kept connection if there is a living one, else a new one.
    ///
    /// `probe_socket`: the request cannot be sent twice, so a close that has not been noticed yet is
    /// worth a system call.
    pub(crate) async fn lease(&self, probe_socket: bool) -> Result<Lease, UpstreamError> {
        if let Some(connection) = self.checkout(probe_socket) {
            return Ok(Lease {
                connection,
                reused: true,
            });
        }
        self.lease_new().await
    }

    /// A new connection, whatever is kept.
    pub(crate) async fn lease_new(&self) -> Result<Lease, UpstreamError> {
        Ok(Lease {
            connection: Box::new(H1::new(self.connect().await?)),
            reused: false,
        })
    }

    /// Keeps a connection for the next request, or drops it if there are enough.
    pub(crate) fn checkin(&self, mut connection: Box<H1<Socket>>) {
        connection.shrink_buffers();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.max_idle {
            idle.push(IdleConn {
                connection,
                since: Instant::now(),
            });
        }
    }

    /// The most recently used one that is still quiet; older ones are the first to go stale.
    fn checkout(&self, probe_socket: bool) -> Option<Box<H1<Socket>>> {
        loop {
            let kept = self
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop()?;
            if self.is_fresh(&kept, probe_socket) {
                return Some(kept.connection);
            }
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
