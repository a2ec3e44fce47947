//! What happens to a connection, and the time of a request head.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// What happens to a connection.
pub(super) enum Event {
    Closed(Result<(), h2::Error>),
    Draining,
    Shed,
    Quiet,
    /// It was told that the connection ends, and says nothing.
    Mute,
    /// A request head is not complete in time.
    HeadDue,
    PingDue,
    Pong,
}

/// The time of the request head that is not complete.
pub(super) struct HeadTime {
    /// Which one that is.
    open: Arc<AtomicU32>,
    by: Option<(u32, Instant)>,
}

impl HeadTime {
    pub(super) fn new(open: Arc<AtomicU32>) -> Self {
        Self { open, by: None }
    }

    /// When it must be; `None` if none is open.
    pub(super) fn end(&mut self, timeout: Duration) -> Option<Instant> {
        let number = self.open.load(Ordering::Relaxed);
        if number == 0 {
            return None;
        }
        match self.by {
            Some((of, by)) if of == number => Some(by),
            _ => {
                let by = Instant::now() + timeout;
                self.by = Some((number, by));
                Some(by)
            }
        }
    }
}
