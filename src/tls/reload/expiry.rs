//! When to warn of a certificate or a revocation list that is about to end: 30, 7 and 1 days ahead, once a day
//! at most.

use std::sync::{Mutex, PoisonError};

use crate::tls::credentials::rfc3339;

const DAY: i64 = 86_400;

/// How urgent a warning is; days left.
const THRESHOLDS: [i64; 3] = [DAY, 7 * DAY, 30 * DAY];

/// A certificate of short life is renewed late: it has no more than this part of its life as warning time.
const LAST_PART_OF_LIFE: i64 = 3;

/// What is to be said.
#[derive(Debug, Eq, PartialEq)]
pub(in crate::tls) struct Warning {
    not_after: i64,
    /// Seconds until then; negative after.
    left: i64,
}

impl Warning {
    pub(in crate::tls) fn not_after(&self) -> String {
        rfc3339(self.not_after)
    }

    /// `None`: it has ended.
    pub(in crate::tls) fn hours_left(&self) -> Option<i64> {
        (self.left >= 0).then_some(self.left / 3600)
    }
}

/// Remembers what was said of what one store has in use. It lives as long as the store: a reload of the
/// configuration says nothing again.
#[derive(Debug, Default)]
pub(in crate::tls) struct ExpiryWarnings(Mutex<Option<LastWarning>>);

#[derive(Debug)]
struct LastWarning {
    not_after: i64,
    urgency: Urgency,
    at: i64,
}

/// Fewer is more urgent: thresholds that are still ahead.
type Urgency = usize;

impl ExpiryWarnings {
    /// A warning of what counts from the first to the second, if one is due at `now` (unix seconds).
    pub(in crate::tls) fn due(
        &self,
        (not_before, not_after): (i64, i64),
        now: i64,
    ) -> Option<Warning> {
        let left = not_after - now;
        let urgency = urgency(left, not_after - not_before)?;
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = last.as_ref().is_some_and(|said| {
            let since = now - said.at;
            // Negative where it was said by a clock that was ahead.
            said.not_after == not_after && said.urgency <= urgency && (0..DAY).contains(&since)
        });
        if silent {
            return None;
        }
        *last = Some(LastWarning {
            not_after,
            urgency,
            at: now,
        });
        Some(Warning { not_after, left })
    }
}

fn urgency(left: i64, lifetime: i64) -> Option<Urgency> {
    if left < 0 {
        return Some(0);
    }
    let warning_time = lifetime / LAST_PART_OF_LIFE;
    let crossed = THRESHOLDS
        .iter()
        .position(|threshold| left < (*threshold).min(warning_time));
    crossed.map(|index| index + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LIFETIME: i64 = 365 * DAY;

    fn facts(not_after: i64, lifetime: i64) -> (i64, i64) {
        (not_after - lifetime, not_after)
    }

    /// Seconds left at each warning while the clock runs in steps of an hour.
    fn warnings(facts: (i64, i64), from: i64, to: i64) -> Vec<i64> {
        let warnings = ExpiryWarnings::default();
        (from..to)
            .step_by(3600)
            .filter_map(|now| warnings.due(facts, now))
            .map(|warning| warning.left)
            .collect()
    }

    #[test]
    fn a_certificate_is_warned_of_daily_in_its_last_thirty_days() {
        let facts = facts(LIFETIME, LIFETIME);
        let said = warnings(facts, LIFETIME - 31 * DAY, LIFETIME - 28 * DAY);
        let first = 30 * DAY - 3600;
        assert_eq!(said, [first, first - DAY]);
    }

    #[test]
    fn crossing_a_threshold_is_said_at_once() {
        let facts = facts(LIFETIME, LIFETIME);
        let said = warnings(facts, LIFETIME - DAY - 7200, LIFETIME + 7200);
        assert_eq!(said, [DAY + 7200, DAY - 3600, -3600]);
    }

    #[test]
    fn a_certificate_of_one_day_is_quiet_until_its_last_eight_hours() {
        let facts = facts(DAY, DAY);
        assert_eq!(warnings(facts, 0, DAY - 8 * 3600), [0_i64; 0]);
        assert_eq!(warnings(facts, 0, DAY).first(), Some(&(7 * 3600)));
    }

    #[test]
    fn a_clock_that_was_ahead_silences_nothing() {
        let warnings = ExpiryWarnings::default();
        let facts = facts(LIFETIME, LIFETIME);
        let ended = warnings.due(facts, LIFETIME + 30 * DAY);
        assert_eq!(ended.and_then(|warning| warning.hours_left()), None);
        let soon = warnings.due(facts, LIFETIME - 3600).unwrap();
        assert_eq!(soon.hours_left(), Some(1));
        assert_eq!(warnings.due(facts, LIFETIME - 1800), None);
        let ended = warnings.due(facts, LIFETIME + 1).unwrap();
        assert_eq!(ended.hours_left(), None);
    }

    #[test]
    fn a_renewed_certificate_starts_afresh() {
        let warnings = ExpiryWarnings::default();
        let soon = facts(LIFETIME, LIFETIME);
        assert!(warnings.due(soon, LIFETIME - 3600).is_some());
        let renewed = facts(2 * LIFETIME, LIFETIME);
        assert_eq!(warnings.due(renewed, LIFETIME - 3600), None);
        assert!(warnings.due(renewed, 2 * LIFETIME - 3600).is_some());
    }
}
