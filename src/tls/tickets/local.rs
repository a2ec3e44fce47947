//! Keys of one process, for a listener without `ticket-keys`: made at start, replaced by time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::key_set::{KeySet, LIFETIME, Secret};

/// A key seals for half the life of a ticket and opens for as long again.
const PERIOD: Duration = Duration::from_secs(LIFETIME / 2);

/// Keys that never leave the process.
pub(super) struct LocalKeys(ArcSwap<Generation>);

struct Generation {
    keys: Arc<KeySet>,
    since: Instant,
}

impl LocalKeys {
    pub(super) fn new() -> Option<Self> {
        let keys = KeySet {
            active: Secret::random()?,
            others: Vec::new(),
        };
        Some(Self(ArcSwap::from_pointee(Generation {
            keys: Arc::new(keys),
            since: Instant::now(),
        })))
    }

    pub(super) fn current(&self) -> Arc<KeySet> {
        self.at(Instant::now())
    }

    fn at(&self, now: Instant) -> Arc<KeySet> {
        let generation = self.0.load();
        let age = now.saturating_duration_since(generation.since);
        if age < PERIOD {
            return Arc::clone(&generation.keys);
        }
        let Some(active) = Secret::random() else {
            return Arc::clone(&generation.keys);
        };
        // After two periods the former key has opened its last ticket.
        let former = (age < 2 * PERIOD).then(|| generation.keys.active.clone());
        let next = Arc::new(Generation {
            keys: Arc::new(KeySet {
                active,
                others: former.into_iter().collect(),
            }),
            since: now,
        });
        self.0.compare_and_swap(&generation, next);
        Arc::clone(&self.0.load().keys)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_seals_for_one_period_and_opens_for_another() {
        let keys = LocalKeys::new().unwrap();
        let start = Instant::now();
        let first = keys.at(start).active.clone();
        assert_eq!(keys.at(start + PERIOD / 2).active, first, "for one period");
        let second = keys.at(start + PERIOD + Duration::from_secs(1));
        assert_ne!(second.active, first);
        assert_eq!(second.others, [first]);
        let third = keys.at(start + 2 * PERIOD + Duration::from_secs(2));
        assert_eq!(third.others, std::slice::from_ref(&second.active));
        let last = keys.at(start + 9 * PERIOD);
        assert!(last.others.is_empty(), "idle for longer than any ticket");
    }
}
