//! A listener or egress that accepts, and how it is stopped: its sockets go to its successor, and its
//! connections drain as those of a process that ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::base::Base;
use super::dispatch::{Dispatcher, Stop, stop};
use crate::drain::{Drain, Phase};
use crate::listener::{self, Address, Admission, Bound, Listener};
use crate::metrics::{ListenerMetrics, Metrics};

/// What accepts connections: a listener or an egress.
pub(super) trait Side: Clone {
    /// What serves a connection.
    type Service;

    /// Its sockets, as the settings have them.
    fn socket(&self) -> &listener::Settings;

    /// Its name.
    fn name(&self) -> &str {
        &self.socket().name
    }

    /// States what it is in log and metrics.
    fn announce(&self, addresses: &[SocketAddr], metrics: &Metrics);

    /// What serves its connections, one for each worker.
    fn services(&self) -> &[Arc<Self::Service>];

    /// Its metrics.
    fn metrics(&self) -> &Arc<ListenerMetrics>;

    /// Starts to accept, for as long as such a side does.
    fn accept(dispatcher: Dispatcher<Self::Service>) -> JoinHandle<()>;
}

/// A side that accepts.
pub(super) struct Live<S> {
    pub(super) side: S,
    /// Its addresses, as asked for and as bound.
    pub(super) sockets: Vec<(Address, Address)>,
    /// Those of TCP, as bound.
    pub(super) addresses: Vec<SocketAddr>,
    permits: Arc<Admission>,
    drain: Drain,
    stop: Stop,
    task: JoinHandle<()>,
}

/// What is left of a side that accepts no more.
pub(super) struct Stopping {
    pub(super) name: String,
    pub(super) sockets: Vec<Bound>,
    pub(super) permits: Arc<Admission>,
    drain: Drain,
}

impl<S: Side> Live<S> {
    /// Accepts from now on, at most so many connections; goes on where `before` stopped.
    pub(super) fn start(
        (side, mut sockets): (S, Vec<Bound>),
        connections: usize,
        before: Option<&mut Stopping>,
        (base, drain): (&Base, &Drain),
    ) -> Self {
        let metrics = listener::counters(&base.metrics, side.name());
        let permits = match before {
            Some(before) => {
                before.permits.set_limit(connections);
                // What is left there closes: its newcomers are served here.
                if let Some(first) = sockets.first_mut() {
                    let left = before.sockets.iter_mut();
                    left.for_each(|left| first.take_waiting(left));
                }
                Arc::clone(&before.permits)
            }
            None => Admission::new(connections, metrics.clone()),
        };
        let both = sockets.iter();
        let both = both.filter_map(|socket| Some((socket.asked().clone(), socket.address()?)));
        let both: Vec<_> = both.collect();
        let listener = Listener::over(side.name(), sockets, Arc::clone(&permits), metrics);
        let addresses = listener.addresses();
        side.announce(&addresses, &base.metrics);
        let drain = drain.branch();
        let (stop, stopped) = stop();
        let dispatcher = Dispatcher {
            listener,
            workers: Arc::clone(&base.workers),
            services: side.services().to_vec(),
            drain: drain.clone(),
            stopped,
            metrics: Arc::clone(side.metrics()),
        };
        Self {
            task: S::accept(dispatcher),
            side,
            sockets: both,
            addresses,
            permits,
            drain,
            stop,
        }
    }

    /// Holds so many connections from now on.
    pub(super) fn set_connections(&self, connections: usize) {
        self.permits.set_limit(connections);
    }

    /// Accepts no more; what it accepted is served on until it is told to drain.
    pub(super) async fn stop(self) -> Stopping {
        let listener = self.stop.take().await;
        let sockets = listener.map(Listener::into_sockets).unwrap_or_default();
        Stopping {
            name: self.side.name().to_owned(),
            sockets,
            permits: self.permits,
            drain: self.drain,
        }
    }

    /// Ends its accept loop with the process.
    pub(super) fn abort(&self) {
        self.task.abort();
    }
}

impl Stopping {
    /// Its connections end as those of a process that ends: each at its own end, all after `patience`.
    pub(super) fn drain(self, whole: &Drain, patience: Duration) {
        // Those that waited, too: its successor has taken what it serves.
        Listener::log_unserved(&self.name, &self.sockets);
        let (name, drain, whole) = (self.name, self.drain, whole.clone());
        drain.advance(Phase::Draining);
        tokio::spawn(async move {
            let open = drain.open();
            if open > 0 {
                tracing::info!(
                    listener = %name,
                    open,
                    timeout_seconds = patience.as_secs_f64(),
                    "connections under the former settings are finishing"
                );
            }
            if timeout(patience, drain.finished()).await.is_err() {
                let open = drain.open();
                tracing::warn!(listener = %name, open, "connections under the former settings were cut");
                drain.advance(Phase::Aborting);
                drain.finished().await;
            }
            whole.forget(&drain);
        });
    }
}
