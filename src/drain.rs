//! Shutdown: the signal goes down, the completion comes up. Imports nothing of ours.

use std::time::Duration;

/// What the end of the process is told.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Between "not ready" and "no new connections": endpoints take time to notice.
    pub delay: Duration,
    /// How long open connections may go on after that.
    pub timeout: Duration,
}
