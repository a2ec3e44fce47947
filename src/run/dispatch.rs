//! A connection's way to the worker that serves it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use crate::drain::Drain;
use crate::listener::accept_reason;
use crate::proxy::connection::{Accepted, Service};
use crate::worker::Workers;

/// Gives each connection of a listener to a worker.
pub(super) struct Dispatcher {
    pub(super) workers: Arc<Workers>,
    /// The listener's, one for each worker, in their order.
    pub(super) services: Vec<Arc<Service>>,
    /// Not a watch of it: that would be open work.
    pub(super) drain: Drain,
}

impl Dispatcher {
    /// Starts serving. What is wrong with one connection is no reason not to accept the next.
    pub(super) fn dispatch(&self, io: TcpStream, client: SocketAddr, permit: OwnedSemaphorePermit) {
        let (number, worker, share) = self.workers.choose();
        let service = Arc::clone(&self.services[number]);
        let accepted = Accepted {
            io,
            client,
            place: (permit, share),
            at: Instant::now(),
        };
        let drain = self.drain.watch();
        if number == 0 {
            // The runtime that accepted it watches it already.
            worker.handle.spawn(service.serve(accepted, drain));
            return;
        }
        match accepted.try_map(TcpStream::into_std) {
            Ok(accepted) => {
                worker.handle.spawn(async move {
                    match accepted.try_map(TcpStream::from_std) {
                        Ok(accepted) => service.serve(accepted, drain).await,
                        Err(error) => lost(&service, &error),
                    }
                });
            }
            Err(error) => lost(&service, &error),
        }
    }
}

/// The kernel would not watch the socket: as good as not accepted.
fn lost(service: &Service, error: &std::io::Error) {
    service.metrics().accept_failed(accept_reason(error));
    tracing::warn!(listener = %service.name(), %error, "connection dropped: its socket cannot be watched");
}
