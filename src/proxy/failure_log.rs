//! Log lines about the upstream of one listener: a warning at once, and then at most one every
//! ten seconds for each reason, so that a model that loads for an hour does not fill the disk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::proxy::error::UpstreamError;

/// Between two warnings for one reason.
const EVERY: Duration = Duration::from_secs(10);

/// What the lines name, and when each reason was last reported.
pub(crate) struct FailureLog {
    listener: String,
    upstream: String,
    started: Instant,
    gates: [Gate; UpstreamError::REASONS.len()],
}

/// Lets one line through in each interval.
#[derive(Default)]
struct Gate {
    /// Milliseconds since the start from which the next line is let through.
    opens: AtomicU64,
    held_back: AtomicU64,
}

impl FailureLog {
    pub(crate) fn new(listener: &str, upstream: String) -> Self {
        Self {
            listener: listener.to_owned(),
            upstream,
            started: Instant::now(),
            gates: std::array::from_fn(|_| Gate::default()),
        }
    }

    /// The listener's name.
    pub(crate) fn listener(&self) -> &str {
        &self.listener
    }

    /// One failure; `message` says at which point, `error` what went wrong.
    pub(crate) fn report(
        &self,
        message: &str,
        reason: &'static str,
        error: Option<&UpstreamError>,
    ) {
        macro_rules! line {
            ($level:ident $(, $more:tt)*) => {
                tracing::$level!(
                    listener = %self.listener,
                    upstream = %self.upstream,
                    reason,
                    error = error.map(tracing::field::display),
                    $($more,)*
                    "{message}"
                )
            };
        }
        if let Some(suppressed) = self.admit(reason, self.started.elapsed()) {
            line!(warn, suppressed);
        } else {
            line!(debug);
        }
    }

    /// How many were held back since the last line of this reason, if the next one is due.
    fn admit(&self, reason: &str, now: Duration) -> Option<u64> {
        let index = UpstreamError::REASONS.iter().position(|r| *r == reason);
        let gate = index.and_then(|index| self.gates.get(index))?;
        gate.admit(now)
    }
}

impl Gate {
    fn admit(&self, now: Duration) -> Option<u64> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let opens = self.opens.load(Ordering::Relaxed);
        let next = millis(now.saturating_add(EVERY));
        let is_due = millis(now) >= opens;
        let ours = is_due
            && self
                .opens
                .compare_exchange(opens, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if ours {
            Some(self.held_back.swap(0, Ordering::Relaxed))
        } else {
            self.held_back.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_of_a_reason_is_reported_and_then_one_in_ten_seconds() {
        let log = FailureLog::new("a", "127.0.0.1:1".to_owned());
        let at = |reason, seconds| log.admit(reason, Duration::from_secs(seconds));
        assert_eq!(at("refused", 0), Some(0));
        assert_eq!(at("refused", 1), None);
        assert_eq!(at("refused", 9), None);
        assert_eq!(at("closed", 9), Some(0), "another reason has its own line");
        assert_eq!(at("refused", 10), Some(2));
        assert_eq!(at("refused", 11), None);
        assert_eq!(at("refused", 3600), Some(1));
    }
}
