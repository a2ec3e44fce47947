//! Which signatures were seen: bounded, for each principal too, and full means refused. Two buckets of
//! time, so that forgetting costs nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::clock::Clock;
use super::settings::{Settings, Share};
use super::verdict::Refusal;

/// What stands for a request: a hash.
pub(super) type Seen = [u8; 16];

/// What a process remembers, by the file of the keys: a request that one listener accepted is a replay at
/// every other one that knows its keys, and after a change of their settings too.
#[derive(Default)]
pub struct ReplayTables(Mutex<BTreeMap<PathBuf, Arc<Memory>>>);

impl ReplayTables {
    /// What belongs to the keys of this file.
    pub(super) fn of(&self, keys: &Path) -> Arc<Memory> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(keys.to_owned()).or_default())
    }
}

impl fmt::Debug for ReplayTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayTables").finish_non_exhaustive()
    }
}

/// A table with the clock that it goes by.
pub(super) struct Memory {
    pub(super) clock: Clock,
    pub(super) table: ReplayTable,
}

impl Default for Memory {
    fn default() -> Self {
        let clock = Clock::default();
        let table = ReplayTable::new(clock.now());
        Self { clock, table }
    }
}

/// What a listener asks of a table. Listeners that share one may ask for more and for less.
#[derive(Clone, Copy)]
pub(super) struct Room {
    /// How long each of its signatures is remembered at least.
    period: Duration,
    /// Of one bucket.
    capacity: usize,
}

impl Room {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            period: settings.period(),
            capacity: settings.of_a_period(),
        }
    }
}

/// Which signatures were seen. Its time is that of `Clock`.
pub(super) struct ReplayTable(Mutex<Buckets>);

struct Buckets {
    began: Duration,
    current: Bucket,
    /// How many of `current` are of each principal.
    parts: HashMap<Box<str>, usize>,
    last: Bucket,
}

#[derive(Default)]
struct Bucket {
    seen: HashSet<Seen>,
    /// The longest that one of them is remembered.
    period: Duration,
}

impl ReplayTable {
    fn new(now: Duration) -> Self {
        Self(Mutex::new(Buckets {
            began: now,
            current: Bucket::default(),
            parts: HashMap::new(),
            last: Bucket::default(),
        }))
    }

    /// Remembers one of a principal that was not seen. A principal always gets its own share, so that one
    /// bucket may hold twice its capacity: others may have filled it, or a reload may have added principals.
    pub(super) fn enter(
        &self,
        (principal, share): (&str, Share),
        room: Room,
        seen: Seen,
        now: Duration,
    ) -> Result<(), Refusal> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let period = buckets.rotate(room, now);
        if buckets.last.seen.contains(&seen) || buckets.current.seen.contains(&seen) {
            return Err(Refusal::Replayed);
        }
        let part = buckets.parts.get(principal).copied().unwrap_or(0);
        let entries = buckets.current.seen.len();
        let shared = entries < room.capacity && part < share.most;
        let own = entries < room.capacity.saturating_mul(2) && part < share.own;
        if !shared && !own {
            let end = buckets.began + period;
            let left = end.saturating_sub(now).as_secs() + 1;
            return Err(Refusal::TableFull(left));
        }
        match buckets.parts.get_mut(principal) {
            Some(part) => *part += 1,
            None => drop(buckets.parts.insert(principal.into(), 1)),
        }
        buckets.current.seen.insert(seen);
        Ok(())
    }
}

impl Buckets {
    /// Forgets what is no longer fresh anywhere, and says how long the current bucket lasts: as long as the
    /// longest memory that is in it or in the one before.
    fn rotate(&mut self, room: Room, now: Duration) -> Duration {
        let age = now.saturating_sub(self.began);
        let period = self.current.period.max(self.last.period);
        // At first there is nothing to forget.
        if period.is_zero() || age >= period {
            let current = std::mem::take(&mut self.current);
            // After two periods of silence nothing of them counts.
            self.last = if age < period * 2 {
                current
            } else {
                Bucket::default()
            };
            self.parts.clear();
            self.began = now;
        }
        self.current.period = self.current.period.max(room.period);
        self.current.period.max(self.last.period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::settings::SignatureMode;

    const START: Duration = Duration::from_hours(500_000);
    const PERIOD: Duration = Duration::from_secs(10);

    /// A table with the number of principals that there are.
    struct Table(ReplayTable, Settings, usize);

    impl Table {
        fn enter(&self, principal: &str, seen: Seen, now: Duration) -> Result<(), Refusal> {
            let share = self.1.share(self.2);
            self.0
                .enter((principal, share), Room::of(&self.1), seen, now)
        }
    }

    /// A table of so many entries, half of them in a period.
    fn table(replay_table: usize, principals: usize) -> Table {
        let settings = Settings {
            mode: SignatureMode::Require,
            keys: "clients.jwks".into(),
            require: Vec::new(),
            cover: Vec::new(),
            max_age: Duration::from_secs(6),
            skew: Duration::from_secs(3),
            replay_table,
        };
        Table(ReplayTable::new(START), settings, principals)
    }

    #[test]
    fn what_was_seen_is_refused_for_its_whole_period() {
        let table = table(100, 1);
        let late = START + Duration::from_millis(9_999);
        assert_eq!(table.enter("a", [1; 16], late), Ok(()));
        for after in [0, 1, 5_000, 9_999] {
            let now = late + Duration::from_millis(after);
            let again = table.enter("a", [1; 16], now);
            assert_eq!(again, Err(Refusal::Replayed), "{after}");
        }
        assert_eq!(table.enter("a", [1; 16], late + PERIOD * 3), Ok(()));
    }

    #[test]
    fn a_full_table_refuses_what_is_new_and_what_is_old() {
        let table = table(4, 1);
        for entry in 0..2 {
            assert_eq!(table.enter("a", [entry; 16], START), Ok(()));
        }
        let later = START + Duration::from_millis(3_500);
        let full = Err(Refusal::TableFull(7));
        assert_eq!(table.enter("a", [9; 16], later), full);
        assert_eq!(table.enter("a", [1; 16], START), Err(Refusal::Replayed));
        let next = START + PERIOD;
        assert_eq!(table.enter("a", [9; 16], next), Ok(()));
        assert_eq!(table.enter("a", [1; 16], next), Err(Refusal::Replayed));
    }

    #[test]
    fn one_principal_leaves_room_for_the_others() {
        let table = table(8, 2);
        for entry in 0..2 {
            assert_eq!(table.enter("a", [entry; 16], START), Ok(()));
        }
        let full = table.enter("a", [2; 16], START);
        assert_eq!(full, Err(Refusal::TableFull(11)));
        assert_eq!(table.enter("b", [3; 16], START), Ok(()));
        let next = START + PERIOD;
        assert_eq!(table.enter("a", [2; 16], next), Ok(()));
    }

    #[test]
    fn two_principals_cannot_refuse_a_third() {
        let table = table(24, 3);
        for entry in 0..6 {
            assert_eq!(table.enter("a", [entry; 16], START), Ok(()));
            assert_eq!(table.enter("b", [100 + entry; 16], START), Ok(()));
        }
        for entry in 0..4 {
            assert_eq!(table.enter("c", [200 + entry; 16], START), Ok(()));
        }
        assert_eq!(
            table.enter("c", [9; 16], START),
            Err(Refusal::TableFull(11))
        );
    }

    /// One principal may fill the table; after a reload it has company.
    #[test]
    fn who_comes_by_a_reload_gets_a_share_of_a_full_table() {
        let mut table = table(8, 1);
        for entry in 0..4 {
            assert_eq!(table.enter("a", [entry; 16], START), Ok(()));
        }
        table.2 = 2;
        assert_eq!(
            table.enter("a", [8; 16], START),
            Err(Refusal::TableFull(11))
        );
        for entry in 0..2 {
            assert_eq!(table.enter("b", [100 + entry; 16], START), Ok(()));
        }
        assert_eq!(
            table.enter("b", [9; 16], START),
            Err(Refusal::TableFull(11))
        );
    }

    #[test]
    fn however_many_reloads_add_principals_a_bucket_has_a_bound() {
        let table = table(8, 1);
        let admitted = (0..100_u8).filter(|entry| {
            let principal = format!("principal-{entry}");
            table.enter(&principal, [*entry; 16], START).is_ok()
        });
        assert_eq!(admitted.count(), 8);
    }

    /// Listeners of one table may differ, and settings change.
    #[test]
    fn the_longest_memory_decides_while_one_of_it_is_there() {
        let mut table = table(100, 1);
        table.1.max_age = Duration::from_secs(96);
        assert_eq!(table.enter("a", [1; 16], START), Ok(()));
        table.1.max_age = Duration::from_secs(6);
        for second in 1..100 {
            let now = START + Duration::from_secs(second);
            let again = table.enter("a", [1; 16], now);
            assert_eq!(again, Err(Refusal::Replayed), "{second}");
        }
        // It lasts two periods at most, and afterwards the shorter one counts.
        let later = START + Duration::from_secs(201);
        assert_eq!(table.enter("a", [2; 16], later), Ok(()));
        assert_eq!(table.enter("a", [2; 16], later + PERIOD * 2), Ok(()));
    }
}
