//! How soon and how often files are looked at.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// Pauses between looks at a pair that may be half written.
pub(super) const SETTLE_STEP: Duration = Duration::from_millis(100);

/// How soon and how often the files are looked at.
#[derive(Clone, Copy, Debug)]
pub struct ReloadSettings {
    /// From the first sign of a change until the files are read, so that a burst counts once.
    pub debounce: Duration,
    /// Between looks that need no sign of a change: network file systems give none.
    pub recheck: Duration,
    /// How long a pair that looks half written may take to become whole before it is a failure.
    pub settle: Duration,
    /// How long one look may take: a file system or a token may have stopped to answer.
    pub patience: Duration,
}

impl ReloadSettings {
    /// The looks that need no sign of a change, from a period after now on.
    pub(super) fn rechecks(&self) -> Interval {
        let period = self.recheck.max(SETTLE_STEP);
        let mut recheck = interval_at(Instant::now() + period, period);
        recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
        recheck
    }
}

impl Default for ReloadSettings {
    fn default() -> Self {
        Self {
            debounce: Duration::from_millis(200),
            recheck: Duration::from_secs(30),
            settle: Duration::from_secs(2),
            patience: Duration::from_secs(15),
        }
    }
}
