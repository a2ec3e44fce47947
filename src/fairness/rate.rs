//! How often each source may come: so many times a second, that many at once at most.
//!
//! The generic cell rate algorithm: of each source only the time is kept at which its budget will be
//! whole again. Bounded: where more sources than that come at once, the one whose budget is the closest
//! to whole is forgotten, which does the least harm.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::source::Source;

/// Sources that are remembered at once.
const MOST: usize = 4096;

/// A budget for each source.
#[derive(Debug)]
pub struct SourceRate {
    /// What one time costs.
    interval: Duration,
    spent: Mutex<Spent>,
}

/// When the budget of each source is whole again, both ways round.
#[derive(Debug, Default)]
struct Spent {
    by_source: BTreeMap<Source, Instant>,
    by_time: BTreeSet<(Instant, Source)>,
}

impl SourceRate {
    /// So many a second for each source, at least one.
    pub fn new(per_second: u32) -> Self {
        Self {
            interval: Duration::from_secs(1) / per_second.max(1),
            spent: Mutex::default(),
        }
    }

    /// Whether the source may come now; if so it is counted.
    pub fn admit(&self, address: IpAddr, now: Instant) -> bool {
        let source = Source::from(address);
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.forget_whole(now);
        let whole = spent.by_source.get(&source).copied();
        let next = whole.unwrap_or(now).max(now) + self.interval;
        // A second's worth at once, whatever the rate.
        let burst = Duration::from_secs(1).max(self.interval);
        if next.saturating_duration_since(now) > burst {
            return false;
        }
        spent.set(source, whole, next);
        true
    }
}

impl Spent {
    /// A few of those whose budget is whole again: as if they had never come.
    fn forget_whole(&mut self, now: Instant) {
        for _ in 0..2 {
            match self.by_time.first() {
                Some((whole, _)) if *whole <= now => self.forget_first(),
                _ => return,
            }
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, source)) = self.by_time.pop_first() {
            self.by_source.remove(&source);
        }
    }

    fn set(&mut self, source: Source, before: Option<Instant>, whole: Instant) {
        match before {
            Some(before) => {
                self.by_time.remove(&(before, source));
            }
            None if self.by_source.len() >= MOST => self.forget_first(),
            None => {}
        }
        self.by_source.insert(source, whole);
        self.by_time.insert((whole, source));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn admitted(rate: &SourceRate, address: &str, now: Instant, times: usize) -> usize {
        let address = address.parse().unwrap();
        (0..times).filter(|_| rate.admit(address, now)).count()
    }

    #[test]
    fn a_source_has_a_seconds_worth_at_once_and_then_its_rate() {
        let (rate, start) = (SourceRate::new(10), Instant::now());
        assert_eq!(admitted(&rate, "192.0.2.1", start, 30), 10);
        // Another address of the /24 has none left, another network has its own.
        assert_eq!(admitted(&rate, "192.0.2.99", start, 5), 0);
        assert_eq!(admitted(&rate, "198.51.100.1", start, 30), 10);
        let later = start + Duration::from_millis(250);
        assert_eq!(admitted(&rate, "192.0.2.1", later, 30), 2);
        let much_later = start + Duration::from_mins(1);
        assert_eq!(admitted(&rate, "192.0.2.1", much_later, 30), 10);
    }

    #[test]
    fn one_a_second_is_one_a_second() {
        let (rate, start) = (SourceRate::new(1), Instant::now());
        assert_eq!(admitted(&rate, "2001:db8::1", start, 3), 1);
        let early = start + Duration::from_millis(900);
        assert_eq!(admitted(&rate, "2001:db8::2", early, 3), 0);
        let later = start + Duration::from_secs(1);
        assert_eq!(admitted(&rate, "2001:db8::1", later, 3), 1);
    }

    #[test]
    fn sources_without_number_take_bounded_room_and_no_budget_of_those_that_spend() {
        let (rate, start) = (SourceRate::new(10), Instant::now());
        assert_eq!(admitted(&rate, "192.0.2.1", start, 30), 10);
        for number in 0..3 * MOST {
            let (high, low) = (number / 256, number % 256);
            let address = format!("10.{high}.{low}.1");
            assert_eq!(admitted(&rate, &address, start, 1), 1);
        }
        let spent = rate.spent.lock().unwrap();
        assert_eq!(spent.by_source.len(), MOST);
        assert_eq!(spent.by_time.len(), MOST);
        drop(spent);
        assert_eq!(admitted(&rate, "192.0.2.1", start, 1), 0);
        // Whose budget is whole again is forgotten as others come.
        let later = start + Duration::from_mins(1);
        for _ in 0..MOST {
            admitted(&rate, "203.0.113.1", later, 1);
        }
        let left = rate.spent.lock().unwrap().by_source.len();
        assert!(left < 3, "{left}");
    }
}
