//! The accept loop of a listener, and a connection's way to the worker that serves it.

use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpStream;

use crate::drain::{Drain, Phase, Watch};
use crate::listener::{self, Listener};
use crate::metrics::{ListenerMetrics, PanickedTask};
use crate::panics;
use crate::proxy::connection::{Accepted, Service};
use crate::worker::Workers;

/// Gives each connection of a listener to a worker.
pub(super) struct Dispatcher {
    pub(super) listener: Listener,
    pub(super) workers: Arc<Workers>,
    /// The listener's, one for each worker, in their order.
    pub(super) services: Vec<Arc<Service>>,
    /// Not a watch of it: that would be open work.
    pub(super) drain: Drain,
}

impl Dispatcher {
    /// Accepts until the drain begins.
    pub(super) async fn run(mut self, entrance: Watch, metrics: Arc<ListenerMetrics>) {
        let mut drained = entrance.reached(Phase::Draining);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut drained => return,
                accepted = self.listener.accept() => accepted,
            };
            if panics::caught_call(|| self.dispatch(accepted)).is_err() {
                metrics.panicked(PanickedTask::Accept);
            }
        }
    }

    /// Starts serving. What is wrong with one connection is no reason not to accept the next.
    fn dispatch(&mut self, accepted: listener::Accepted) {
        let listener::Accepted {
            stream,
            client,
            permit,
        } = accepted;
        let (number, worker, share) = self.workers.choose();
        let service = Arc::clone(&self.services[number]);
        let accepted = Accepted {
            io: stream,
            client,
            permit: (permit, share),
            at: Instant::now(),
        };
        let drain = self.drain.watch();
        if number == 0 {
            // The runtime that accepted it watches it already.
            worker.handle.spawn(service.serve(accepted, drain));
            return;
        }
        let lost = self.listener.lost();
        match accepted.try_map(TcpStream::into_std) {
            Ok(accepted) => {
                worker.handle.spawn(async move {
                    match accepted.try_map(TcpStream::from_std) {
                        Ok(accepted) => service.serve(accepted, drain).await,
                        Err(error) => lost.count(&error),
                    }
                });
            }
            Err(error) => lost.count(&error),
        }
    }
}
