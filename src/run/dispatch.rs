//! The accept loop of a listener, and a connection's way to the worker that serves it.

use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::drain::{Drain, Phase, PhaseWait, Watch};
use crate::listener::{self, Listener};
use crate::metrics::{ListenerMetrics, PanickedTask};
use crate::panics;
use crate::proxy::connection::{Accepted, Service};
use crate::proxy::egress::EgressService;
use crate::worker::Workers;

/// One worker's way to serve the connections of a listener.
pub(super) trait Serve: Send + Sync + 'static {
    /// Serves one connection from accepted to closed; `drain` is held until then.
    fn serve(
        self: Arc<Self>,
        accepted: Accepted<TcpStream>,
        drain: Watch,
    ) -> impl Future<Output = ()> + Send;
}

impl Serve for Service {
    fn serve(
        self: Arc<Self>,
        accepted: Accepted<TcpStream>,
        drain: Watch,
    ) -> impl Future<Output = ()> + Send {
        Self::serve(self, accepted, drain)
    }
}

impl Serve for EgressService {
    fn serve(
        self: Arc<Self>,
        accepted: Accepted<TcpStream>,
        drain: Watch,
    ) -> impl Future<Output = ()> + Send {
        Self::serve(self, accepted, drain)
    }
}

/// Gives each connection of a listener to a worker.
pub(super) struct Dispatcher<S> {
    pub(super) listener: Listener,
    pub(super) workers: Arc<Workers>,
    /// The listener's, one for each worker, in their order.
    pub(super) services: Vec<Arc<S>>,
    /// Not a watch of it: that would be open work.
    pub(super) drain: Drain,
    /// Who wants the sockets back.
    pub(super) stopped: Stopped,
    pub(super) metrics: Arc<ListenerMetrics>,
}

/// Ends an accept loop whose sockets somebody else goes on with.
pub(super) struct Stop(oneshot::Sender<oneshot::Sender<Listener>>);

/// The loop's end of it.
pub(super) struct Stopped(oneshot::Receiver<oneshot::Sender<Listener>>);

/// A way to end an accept loop, and the loop's end of it.
pub(super) fn stop() -> (Stop, Stopped) {
    let (stop, stopped) = oneshot::channel();
    (Stop(stop), Stopped(stopped))
}

impl Stop {
    /// Ends the loop: its listener, or nothing if it has ended.
    pub(super) async fn take(self) -> Option<Listener> {
        let (back, listener) = oneshot::channel();
        self.0.send(back).ok()?;
        listener.await.ok()
    }
}

impl Stopped {
    /// Waits until somebody asks; for ever once nobody can.
    async fn asked(&mut self) -> oneshot::Sender<Listener> {
        if !self.0.is_terminated()
            && let Ok(back) = (&mut self.0).await
        {
            return back;
        }
        std::future::pending().await
    }
}

impl<S: Serve> Dispatcher<S> {
    /// Accepts until the drain begins, or somebody else goes on with the sockets.
    pub(super) async fn run(self, entrance: Watch) {
        let drained = entrance.reached(Phase::Draining);
        self.run_until(drained).await;
    }

    /// Accepts until open work is cut, or the task is aborted: what an app begins while it ends, such as
    /// saving a checkpoint after SIGTERM, goes through. It holds no drain up by itself.
    pub(super) async fn run_to_the_end(self) {
        let cut = self.drain.entrance().reached(Phase::Aborting);
        self.run_until(cut).await;
    }

    async fn run_until(mut self, mut end: PhaseWait) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut end => {
                    let name = self.listener.name().to_owned();
                    return Listener::log_unserved(&name, &self.listener.into_sockets());
                }
                back = self.stopped.asked() => {
                    // Nobody waits for them any more if the process ends meanwhile.
                    let _ = back.send(self.listener);
                    return;
                }
                accepted = self.listener.accept() => accepted,
            };
            if panics::caught_call(|| self.dispatch(accepted)).is_err() {
                self.metrics.panicked(PanickedTask::Accept);
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
        let (lost, client) = (self.listener.lost(), accepted.client);
        match accepted.try_map(TcpStream::into_std) {
            Ok(accepted) => {
                worker.handle.spawn(async move {
                    match accepted.try_map(TcpStream::from_std) {
                        Ok(accepted) => service.serve(accepted, drain).await,
                        Err(error) => lost.count(client, &error),
                    }
                });
            }
            Err(error) => lost.count(client, &error),
        }
    }
}
