//! A log line that others can cause as often as they like is written a few times in each interval, with
//! a count of those left out. Imports nothing of ours.

/// Logs at `$level` a line that a [`LogLimit`] admitted, else at debug: the message, then the fields. `suppressed` is
/// among them where lines were left out.
macro_rules! log_admitted {
    ($level:ident, $admitted:expr, $message:literal, $($fields:tt)+) => {{
        let admitted: Option<u64> = $admitted;
        let suppressed = admitted.filter(|count| *count > 0);
        if admitted.is_some() {
            tracing::$level!($($fields)+, suppressed, $message);
        } else {
            tracing::debug!($($fields)+, $message);
        }
    }};
}
pub(crate) use log_admitted;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One kind of line.
#[derive(Debug)]
pub struct LogLimit {
    interval: Duration,
    /// Lines of an interval.
    lines: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The beginning of the interval.
    since: Option<Instant>,
    written: u32,
    suppressed: u64,
}

/// One line a second.
impl Default for LogLimit {
    fn default() -> Self {
        Self::new(Duration::from_secs(1), 1)
    }
}

impl LogLimit {
    /// At most so many `lines` in each `interval`, which begins with the first of them.
    pub const fn new(interval: Duration, lines: u32) -> Self {
        Self {
            interval,
            lines,
            state: Mutex::new(State {
                since: None,
                written: 0,
                suppressed: 0,
            }),
        }
    }

    /// Whether the line is written now, and how many were left out since the last one.
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    /// The same at a time of one's own.
    pub fn admit_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |since| now.saturating_duration_since(since) >= self.interval;
        if state.since.is_none_or(is_over) {
            state.since = Some(now);
            state.written = 0;
        }
        if state.written == self.lines {
            state.suppressed += 1;
            return None;
        }
        state.written += 1;
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_says_how_many_were_left_out() {
        let (limit, begin) = (LogLimit::default(), Instant::now());
        let at = |ms| limit.admit_at(begin + Duration::from_millis(ms));
        assert_eq!(at(0), Some(0));
        assert_eq!(at(1), None);
        assert_eq!(at(999), None);
        assert_eq!(at(1000), Some(2));
        assert_eq!(at(5000), Some(0));
    }

    #[test]
    fn several_lines_of_an_interval_are_written() {
        let limit = LogLimit::new(Duration::from_secs(10), 2);
        let begin = Instant::now();
        let at = |seconds| limit.admit_at(begin + Duration::from_secs(seconds));
        assert_eq!([at(0), at(9), at(9), at(9)], [Some(0), Some(0), None, None]);
        assert_eq!([at(10), at(11), at(12)], [Some(2), Some(0), None]);
    }
}
