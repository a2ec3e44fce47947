//! Ctrl-C and SIGTERM: the first ends the run after the block under way, the second at once; what was measured is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::terminal::say;
use crate::run::Stop;

/// Exit code after an interrupt, as shells know it.
pub(super) const INTERRUPTED: u8 = 130;

/// The flag the first signal sets, and the word of the second.
pub(super) fn on_interrupt() -> (Stop, oneshot::Receiver<()>) {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let (again, at_once) = oneshot::channel();
    // Where a handler cannot be installed, the signal ends the program as it would have.
    if let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) {
        tokio::spawn(async move {
            let mut next = async || {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            };
            next().await;
            flag.store(true, Ordering::Relaxed);
            say("\nstopping after this block; what was measured is kept (again to stop at once)");
            next().await;
            // A run that has just ended needs no word.
            again.send(()).ok();
        });
    }
    (stop, at_once)
}
