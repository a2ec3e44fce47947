//! A newcomer that waits for a permit.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Wakes the newcomer that waits, if there is one.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) waiting: AtomicBool,
    pub(super) changed: Notify,
}

impl Wanted {
    /// Something may have become free. Costs one load unless somebody waits.
    pub(super) fn tell(&self) {
        if self.waiting.load(Ordering::SeqCst) {
            self.changed.notify_one();
        }
    }
}
