//! Log lines about the upstream of one listener: a warning at once, and then at most one every
//! ten seconds for each reason, so that a model that loads for an hour does not fill the disk.

use std::time::{Duration, Instant};

use crate::log_limit::LogLimit;
use crate::proxy::error::UpstreamError;

/// Between two warnings for one reason.
const EVERY: Duration = Duration::from_secs(10);

/// What the lines name, and when each reason was last reported.
pub(crate) struct FailureLog {
    listener: String,
    upstream: String,
    lines: [LogLimit; UpstreamError::REASONS.len()],
}

impl FailureLog {
    pub(crate) fn new(listener: &str, upstream: String) -> Self {
        Self {
            listener: listener.to_owned(),
            upstream,
            lines: std::array::from_fn(|_| LogLimit::new(EVERY, 1)),
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
        if let Some(suppressed) = self.admit(reason, Instant::now()) {
            line!(warn, suppressed);
        } else {
            line!(debug);
        }
    }

    /// How many were held back since the last line of this reason, if the next one is due.
    fn admit(&self, reason: &str, now: Instant) -> Option<u64> {
        let index = UpstreamError::REASONS.iter().position(|r| *r == reason);
        let lines = index.and_then(|index| self.lines.get(index))?;
        lines.admit_at(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_of_a_reason_is_reported_and_then_one_in_ten_seconds() {
        let log = FailureLog::new("a", "127.0.0.1:1".to_owned());
        let begin = Instant::now();
        let at = |reason, seconds| log.admit(reason, begin + Duration::from_secs(seconds));
        assert_eq!(at("refused", 0), Some(0));
        assert_eq!(at("refused", 1), None);
        assert_eq!(at("refused", 9), None);
        assert_eq!(at("closed", 9), Some(0), "another reason has its own line");
        assert_eq!(at("refused", 10), Some(2));
        assert_eq!(at("refused", 11), None);
        assert_eq!(at("refused", 3600), Some(1));
    }
}
