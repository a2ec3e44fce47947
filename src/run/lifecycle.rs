//! Signals and orders: reload, drain, end. A second signal ends at once.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::{Error, Sidecar};
use crate::admin::Order;
use crate::drain::Phase;

/// How a run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// Every connection came to its own end.
    Drained,
    /// Connections were cut.
    Cut(usize),
}

/// Orders of the admin port.
pub(super) struct Commands(mpsc::Receiver<Order>);

impl Commands {
    pub(super) fn new() -> (Self, mpsc::Sender<Order>) {
        let (sender, receiver) = mpsc::channel(8);
        (Self(receiver), sender)
    }
}

/// The signals a sidecar listens to; as PID 1 it would ignore them without handlers.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

enum Event {
    Shutdown,
    Reload,
    Order(Order),
}

impl Signals {
    fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self, orders: &mut mpsc::Receiver<Order>) -> Event {
        tokio::select! {
            _ = self.terminate.recv() => Event::Shutdown,
            _ = self.interrupt.recv() => Event::Shutdown,
            _ = self.hangup.recv() => Event::Reload,
            Some(order) = orders.recv() => Event::Order(order),
        }
    }
}

impl Sidecar {
    /// Serves until SIGTERM, SIGINT or `ctl quit`, then drains.
    pub async fn until_signalled(mut self) -> Result<End, Error> {
        let mut signals = Signals::install().map_err(Error::Signals)?;
        // `ctl drain` began the countdown to refusing connections; SIGTERM joins it.
        let mut refuse_at: Option<Instant> = None;
        loop {
            let event = tokio::select! {
                event = signals.next(&mut self.commands.0) => event,
                () = until(refuse_at) => {
                    refuse_at = None;
                    self.drain.advance(Phase::Draining);
                    continue;
                }
            };
            match event {
                Event::Reload => self.reload_now(),
                Event::Order(Order::Drain) => {
                    refuse_at.get_or_insert_with(|| self.become_lame());
                }
                Event::Order(Order::Ready) => {
                    if self.drain.resume() {
                        refuse_at = None;
                        self.metrics.set_draining(false);
                    }
                }
                Event::Shutdown | Event::Order(Order::Quit) => break,
            }
        }
        let refuse_at = refuse_at.unwrap_or_else(|| self.become_lame());
        Ok(self.shut_down(signals, refuse_at).await)
    }

    /// Drains without a signal, and returns when it is over.
    pub async fn shutdown(self) -> End {
        let refuse_at = self.become_lame();
        self.finish(refuse_at).await
    }

    fn reload_now(&self) {
        let reload = self.reload.clone();
        tokio::spawn(async move {
            // The reloader logs what it finds.
            let _ = reload.reload_now().await;
        });
    }

    /// Not ready from now on; the time from which connections are refused.
    fn become_lame(&self) -> Instant {
        self.metrics.set_draining(true);
        self.drain.advance(Phase::Lame);
        let delay = match self.drain.phase() {
            Phase::Lame => self.drain_settings.delay,
            _ => Duration::ZERO,
        };
        tracing::info!(delay_seconds = delay.as_secs_f64(), "draining");
        Instant::now() + delay
    }

    async fn shut_down(self, mut signals: Signals, refuse_at: Instant) -> End {
        let (drain, tasks) = (self.drain.clone(), abort_handles(&self));
        let mut nobody = mpsc::channel(1).1;
        let again = async {
            loop {
                if let Event::Shutdown = signals.next(&mut nobody).await {
                    return;
                }
            }
        };
        tokio::select! {
            end = self.finish(refuse_at) => end,
            () = again => {
                tracing::warn!("second signal: ending at once");
                let open = drain.open();
                drain.advance(Phase::Cut);
                for task in tasks {
                    task.abort();
                }
                if open == 0 { End::Drained } else { End::Cut(open) }
            }
        }
    }

    async fn finish(self, refuse_at: Instant) -> End {
        tokio::time::sleep_until(refuse_at).await;
        self.drain.advance(Phase::Draining);
        let deadline = Instant::now() + self.drain_settings.timeout;
        let end = match timeout_at(deadline, self.drain.finished()).await {
            Ok(()) => End::Drained,
            Err(_) => self.cut().await,
        };
        for task in &self.tasks {
            task.abort();
        }
        match end {
            End::Drained => tracing::info!("drained"),
            End::Cut(open) => tracing::warn!(open, "drain timeout: connections were cut"),
        }
        end
    }

    async fn cut(&self) -> End {
        let open = self.drain.open();
        self.drain.advance(Phase::Cut);
        // Each connection records its end; none of them has anything left to wait for.
        let grace = Instant::now() + Duration::from_secs(1);
        let _ = timeout_at(grace, self.drain.finished()).await;
        End::Cut(open)
    }
}

fn abort_handles(sidecar: &Sidecar) -> Vec<tokio::task::AbortHandle> {
    sidecar
        .tasks
        .iter()
        .map(tokio::task::JoinHandle::abort_handle)
        .collect()
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
