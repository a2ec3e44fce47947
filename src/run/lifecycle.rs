//! Signals and commands: reload, drain, end. A second one to end, signal or `ctl quit`, ends at once.
//! SIGINT skips the delay before connections are refused, which is there for load balancers.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::reading::Readings;
use super::service_manager;
use super::sidecar::Sidecar;
use crate::admin::AdminCommand;
use crate::drain::Phase;

/// How long the responses to `/drain/wait` may take to be sent.
const DRAIN_WAITER_GRACE: Duration = Duration::from_secs(1);
/// How long connections that are cut may take to record their end.
const ABORT_GRACE: Duration = Duration::from_secs(1);
/// How long the last spans may take to reach the collector.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// Said when a drain begins.
const DRAINING: &str = "draining";
/// Said when Ctrl-C begins it: somebody waits at the terminal.
const INTERRUPTED: &str =
    "draining without delay: open connections may finish, a second Ctrl-C ends at once";

/// How a run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// Every connection came to its own end.
    Drained,
    /// This many connections were aborted.
    Aborted(usize),
}

/// The signals a sidecar listens to; as PID 1 it would ignore them without handlers.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

enum Event {
    Shutdown,
    /// Ctrl-C: somebody at a terminal waits, and no load balancer has to hear of it.
    Interrupt,
    Reload,
    Command(AdminCommand),
}

impl Signals {
    /// Catches them from now on.
    pub fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Returns at SIGTERM or SIGINT.
    pub async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    async fn next(&mut self, commands: &mut mpsc::Receiver<AdminCommand>) -> Event {
        tokio::select! {
            _ = self.terminate.recv() => Event::Shutdown,
            _ = self.interrupt.recv() => Event::Interrupt,
            _ = self.hangup.recv() => Event::Reload,
            Some(command) = commands.recv() => Event::Command(command),
        }
    }
}

impl Sidecar {
    /// Serves until SIGTERM, SIGINT or `ctl quit`, then drains; SIGINT without the delay.
    pub async fn until_signalled(mut self, mut signals: Signals) -> End {
        let mut commands = self.commands.take();
        // `ctl drain` began the countdown to refusing connections; SIGTERM joins it.
        let mut refuse_at: Option<Instant> = None;
        let mut readings = Readings::default();
        loop {
            let event = tokio::select! {
                event = signals.next(&mut commands) => event,
                read = readings.done() => {
                    self.use_read(read).await;
                    if readings.asked_again() {
                        readings.ask(&self);
                    }
                    continue;
                }
                () = until(refuse_at) => {
                    refuse_at = None;
                    self.drain.advance(Phase::Draining);
                    continue;
                }
            };
            let delay = self.config.drain.delay;
            match event {
                Event::Reload => readings.ask(&self),
                Event::Command(AdminCommand::Drain) if self.drain.phase() < Phase::Draining => {
                    refuse_at.get_or_insert_with(|| self.enter_lame_duck(delay, DRAINING));
                }
                Event::Command(AdminCommand::Drain) => {}
                Event::Shutdown | Event::Command(AdminCommand::Quit) => break,
                Event::Interrupt => {
                    refuse_at = Some(self.enter_lame_duck(Duration::ZERO, INTERRUPTED));
                    break;
                }
            }
        }
        let delay = self.config.drain.delay;
        let refuse_at = refuse_at.unwrap_or_else(|| self.enter_lame_duck(delay, DRAINING));
        service_manager::stopping(self.drain.open());
        service_manager::extended(self.shut_down(signals, commands, refuse_at)).await
    }

    /// Drains without a signal, and returns when it is over.
    pub async fn shutdown(self) -> End {
        let refuse_at = self.enter_lame_duck(self.config.drain.delay, DRAINING);
        self.finish(refuse_at).await
    }

    /// Not ready from now on; the time from which connections are refused.
    fn enter_lame_duck(&self, delay: Duration, message: &str) -> Instant {
        self.base.metrics.set_draining(true);
        self.drain.advance(Phase::LameDuck);
        let delay = match self.drain.phase() {
            Phase::LameDuck => delay,
            _ => Duration::ZERO,
        };
        tracing::info!(
            delay_seconds = delay.as_secs_f64(),
            timeout_seconds = self.config.drain.timeout.as_secs_f64(),
            open = self.drain.open(),
            "{message}"
        );
        Instant::now() + delay
    }

    async fn shut_down(
        self,
        mut signals: Signals,
        mut commands: mpsc::Receiver<AdminCommand>,
        refuse_at: Instant,
    ) -> End {
        let again = async {
            loop {
                match signals.next(&mut commands).await {
                    Event::Shutdown | Event::Interrupt | Event::Command(AdminCommand::Quit) => {
                        return;
                    }
                    Event::Reload => drop(self.read_again()),
                    Event::Command(AdminCommand::Drain) => {}
                }
            }
        };
        tokio::select! {
            end = self.finish(refuse_at) => end,
            () = again => self.end_at_once().await,
        }
    }

    /// What is cut is a reset: a close would make a response without a length look whole.
    async fn end_at_once(&self) -> End {
        self.abort_tasks();
        let open = self.drain.open();
        tracing::warn!(open, "told to end a second time: ending at once");
        self.abort().await
    }

    async fn finish(&self, refuse_at: Instant) -> End {
        tokio::time::sleep_until(refuse_at).await;
        self.drain.advance(Phase::Draining);
        let deadline = Instant::now() + self.config.drain.timeout;
        let end = match timeout_at(deadline, self.drain.finished()).await {
            Ok(()) => self.ended(),
            Err(_) => self.abort().await,
        };
        let _ = timeout_at(Instant::now() + DRAIN_WAITER_GRACE, self.drain.reported()).await;
        if !self.base.traces.flush(LAST_SPANS).await {
            tracing::warn!("the collector did not take the last spans in time");
        }
        self.abort_tasks();
        match end {
            End::Drained => tracing::info!("drained"),
            End::Aborted(open) => tracing::warn!(open, "connections were cut"),
        }
        end
    }

    /// What is still open counts as aborted: the process ends.
    fn ended(&self) -> End {
        match self.drain.aborted() + self.drain.open() {
            0 => End::Drained,
            aborted => End::Aborted(aborted),
        }
    }

    async fn abort(&self) -> End {
        self.drain.advance(Phase::Aborting);
        // Each connection records its end; none of them has anything left to wait for.
        let grace = Instant::now() + ABORT_GRACE;
        let _ = timeout_at(grace, self.drain.finished()).await;
        self.ended()
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
