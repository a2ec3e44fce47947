//! The time of signatures: of the wall clock, but never earlier than it was. A clock that is set back
//! would make signatures fresh again that the replay table has forgotten.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, the latest that were read.
#[derive(Debug, Default)]
pub(super) struct Clock(AtomicU64);

impl Clock {
    /// Since 1970.
    pub(super) fn now(&self) -> Duration {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        self.at_least(since.unwrap_or_default())
    }

    fn at_least(&self, read: Duration) -> Duration {
        let read = u64::try_from(read.as_millis()).unwrap_or(u64::MAX);
        let latest = self.0.fetch_max(read, Ordering::AcqRel);
        Duration::from_millis(latest.max(read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_stands_still() {
        let clock = Clock::default();
        for (read, expected) in [
            (5_000, 5_000),
            (9_000, 9_000),
            (6_000, 9_000),
            (9_001, 9_001),
        ] {
            let now = clock.at_least(Duration::from_millis(read));
            assert_eq!(now, Duration::from_millis(expected));
        }
    }
}
