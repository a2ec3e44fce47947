//! Signals that end a run: before the first block the first ends the program; then it ends the run after the block under
//! way, the second at once, as does a block that does not end; what was measured is kept.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::terminal::say;
use crate::error::Result;
use crate::plan::{Case, Plan};
use crate::run::Stop;

/// Exit code after an interrupt, as shells know it.
pub(super) const INTERRUPTED: u8 = 130;

/// What a block may take longer than it should once its end was asked for.
const GRACE: Duration = Duration::from_secs(5);

/// What was asked to end.
#[derive(Debug)]
pub(super) struct Interrupts {
    /// Set by the first signal.
    pub(super) stop: Stop,
    first: oneshot::Receiver<()>,
    second: oneshot::Receiver<()>,
}

impl Interrupts {
    /// What comes before the first block; none where the first signal ended it, which then has nothing to keep.
    pub(super) async fn before<T>(
        &mut self,
        prepared: impl Future<Output = Result<T>>,
    ) -> Result<Option<T>> {
        tokio::select! {
            prepared = prepared => {
                // From here on a signal lets the block under way end.
                self.first.close();
                prepared.map(Some)
            }
            Ok(()) = &mut self.first => {
                say("\ninterrupted before the first block: nothing was measured");
                Ok(None)
            }
        }
    }

    /// The second signal, or a block that has not ended long after the first.
    pub(super) async fn at_once(&mut self) {
        if (&mut self.second).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Waits for the signals; a block of the plan takes so long at most.
pub(super) fn on_interrupt(plan: &Plan) -> Interrupts {
    let block = plan.cases.iter().map(Case::block).max();
    let patience = block.unwrap_or_default() + GRACE;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let (once, first) = oneshot::channel();
    let (again, second) = oneshot::channel();
    let mut signals = of_end();
    if !signals.is_empty() {
        tokio::spawn(async move {
            let mut next = async || poll_fn(|cx| any(&mut signals, cx)).await;
            next().await;
            flag.store(true, Ordering::Relaxed);
            if once.send(()).is_ok() {
                return;
            }
            say("\nstopping after this block; what was measured is kept (again to stop at once)");
            // A target that has gone silent would hold up the block.
            drop(tokio::time::timeout(patience, next()).await);
            // A run that has just ended needs no word.
            again.send(()).ok();
        });
    }
    Interrupts {
        stop,
        first,
        second,
    }
}

/// Ctrl-C, Ctrl-\, a terminal that goes, SIGTERM. The servers of the tool are in groups of their own: they end only if the
/// tool ends in order. Where a handler cannot be installed, the signal ends the program as it would have.
fn of_end() -> Vec<Signal> {
    let mut kinds = vec![
        SignalKind::interrupt(),
        SignalKind::quit(),
        SignalKind::terminate(),
    ];
    // `nohup` has it ignored, and a handler would undo that.
    if !is_ignored(SignalKind::hangup()) {
        kinds.push(SignalKind::hangup());
    }
    let signals = kinds.into_iter().map(signal);
    signals.filter_map(std::io::Result::ok).collect()
}

/// Whether this process was started with the signal ignored, as the kernel tells it (proc_pid_status(5)).
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 1)
}

/// Ready when one of them has come.
fn any(signals: &mut [Signal], cx: &mut Context<'_>) -> Poll<()> {
    let mut came = Poll::Pending;
    for signal in signals {
        if signal.poll_recv(cx).is_ready() {
            came = Poll::Ready(());
        }
    }
    came
}
