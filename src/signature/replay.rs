//! Which signatures were seen: bounded, for each principal too, and full means refused. Two buckets of
//! time, so that forgetting costs nothing.
//!
//! Each listener counts for itself, by its own settings. What one of them has accepted is a replay at all
//! others of the process, and after a reload too.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clock::Clock;
use super::settings::{Settings, Share};
use super::verdict::Refusal;

/// What stands for a request: a hash.
pub(super) type Seen = [u8; 16];

/// What the listeners of a process remember.
#[derive(Default)]
pub struct ReplayTables {
    clock: Clock,
    tables: Mutex<Vec<Entries>>,
}

impl ReplayTables {
    /// A table for one more listener, with room for what its settings say.
    pub(super) fn table(self: &Arc<Self>, settings: &Settings) -> ReplayTable {
        let mut tables = self.lock();
        let id = tables.iter().map(|table| table.id + 1).max().unwrap_or(0);
        tables.push(Entries {
            id,
            period: settings.period(),
            capacity: settings.of_a_period(),
            began: Duration::ZERO,
            current: HashSet::new(),
            parts: HashMap::new(),
            last: HashSet::new(),
            retired: None,
        });
        ReplayTable {
            all: Arc::clone(self),
            id,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entries>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ReplayTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayTables").finish_non_exhaustive()
    }
}

/// The table of one listener. What is in it outlives it while it could be fresh anywhere.
pub(super) struct ReplayTable {
    all: Arc<ReplayTables>,
    id: u64,
}

impl Drop for ReplayTable {
    fn drop(&mut self) {
        let now = self.all.clock.now();
        let mut tables = self.all.lock();
        for table in &mut *tables {
            if table.id == self.id {
                table.retired = Some(now);
            }
        }
        forget(&mut tables, now);
    }
}

impl ReplayTable {
    /// Now, by the clock of the tables.
    pub(super) fn now(&self) -> Duration {
        self.all.clock.now()
    }

    /// Remembers one of a principal that was not seen. A principal always gets its own share, so that one
    /// bucket may hold twice its capacity: others may have filled it, or a reload may have added principals.
    pub(super) fn enter(
        &self,
        (principal, share): (&str, Share),
        seen: Seen,
        now: Duration,
    ) -> Result<(), Refusal> {
        let mut tables = self.all.lock();
        let period = forget(&mut tables, now);
        let live = tables.iter_mut().filter(|table| table.retired.is_none());
        live.for_each(|table| table.rotate(now, period));
        if tables.iter().any(|table| table.contains(&seen)) {
            return Err(Refusal::Replayed);
        }
        match tables.iter_mut().find(|table| table.id == self.id) {
            Some(own) => own.enter((principal, share), seen, now, period),
            // It stays until it is dropped.
            None => Err(Refusal::TableFull(1)),
        }
    }
}

/// What one listener has accepted.
struct Entries {
    id: u64,
    /// How long each of them is remembered at least, by the listener's own settings.
    period: Duration,
    /// Of one bucket.
    capacity: usize,
    began: Duration,
    current: HashSet<Seen>,
    /// How many of `current` are of each principal.
    parts: HashMap<Box<str>, usize>,
    last: HashSet<Seen>,
    /// When its listener went.
    retired: Option<Duration>,
}

/// Drops tables of listeners that went whose entries are stale everywhere; how long entries last: what one
/// listener has accepted may be fresh at another for longer.
fn forget(tables: &mut Vec<Entries>, now: Duration) -> Duration {
    let live = tables.iter().filter(|table| table.retired.is_none());
    let longest = live.map(|table| table.period).max().unwrap_or_default();
    tables.retain(|table| match table.retired {
        None => true,
        Some(_) if table.current.is_empty() && table.last.is_empty() => false,
        Some(at) => now < at + longest.max(table.period),
    });
    longest
}

impl Entries {
    fn contains(&self, seen: &Seen) -> bool {
        self.last.contains(seen) || self.current.contains(seen)
    }

    fn rotate(&mut self, now: Duration, period: Duration) {
        let age = now.saturating_sub(self.began);
        if age < period {
            return;
        }
        let current = std::mem::take(&mut self.current);
        // After two periods of silence nothing of them counts.
        self.last = if age < period * 2 {
            current
        } else {
            HashSet::new()
        };
        self.parts.clear();
        self.began = now;
    }

    fn enter(
        &mut self,
        (principal, share): (&str, Share),
        seen: Seen,
        now: Duration,
        period: Duration,
    ) -> Result<(), Refusal> {
        let part = self.parts.get(principal).copied().unwrap_or(0);
        let entries = self.current.len();
        let shared = entries < self.capacity && part < share.most;
        let own = entries < self.capacity.saturating_mul(2) && part < share.own;
        if !shared && !own {
            let left = (self.began + period).saturating_sub(now).as_secs() + 1;
            return Err(Refusal::TableFull(left));
        }
        match self.parts.get_mut(principal) {
            Some(part) => *part += 1,
            None => drop(self.parts.insert(principal.into(), 1)),
        }
        self.current.insert(seen);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::signature::settings::SignatureMode;

    const START: Duration = Duration::from_hours(500_000);
    const PERIOD: Duration = Duration::from_secs(10);

    /// A table with the number of principals that there are.
    struct Table(ReplayTable, Settings, usize);

    impl Table {
        fn enter(&self, principal: &str, seen: Seen, now: Duration) -> Result<(), Refusal> {
            let share = self.1.share(self.2);
            self.0.enter((principal, share), seen, now)
        }
    }

    fn settings(replay_table: usize, max_age: Duration) -> Settings {
        Settings {
            mode: SignatureMode::Require,
            keys: "clients.jwks".into(),
            require: Vec::new(),
            cover: Vec::new(),
            max_age,
            skew: Duration::from_secs(3),
            replay_table,
        }
    }

    fn among(all: &Arc<ReplayTables>, settings: Settings) -> Table {
        Table(all.table(&settings), settings, 1)
    }

    /// A table of so many entries, half of them in a period.
    fn table(replay_table: usize, principals: usize) -> Table {
        let settings = settings(replay_table, Duration::from_secs(6));
        let table = Arc::<ReplayTables>::default().table(&settings);
        Table(table, settings, principals)
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

    #[test]
    fn what_one_listener_accepted_is_a_replay_at_another_for_as_long_as_it_is_fresh_there() {
        let all = Arc::default();
        let short = among(&all, settings(100, Duration::from_secs(6)));
        let long = among(&all, settings(100, Duration::from_secs(96)));
        assert_eq!(short.enter("a", [1; 16], START), Ok(()));
        for second in 1..100 {
            let now = START + Duration::from_secs(second);
            // It goes on serving others meanwhile.
            let other = Seen::from([u8::try_from(second).unwrap() + 100; 16]);
            let _ = short.enter("b", other, now);
            let again = long.enter("a", [1; 16], now);
            assert_eq!(again, Err(Refusal::Replayed), "{second}");
        }
    }

    #[test]
    fn each_listener_has_its_own_room() {
        let all = Arc::default();
        let busy = among(&all, settings(1000, Duration::from_secs(6)));
        let small = among(&all, settings(4, Duration::from_secs(6)));
        for entry in 0..200_u8 {
            assert_eq!(busy.enter("a", [entry; 16], START), Ok(()));
        }
        for entry in [201, 202] {
            assert_eq!(small.enter("a", [entry; 16], START), Ok(()));
        }
        let full = small.enter("a", [203; 16], START);
        assert_eq!(full, Err(Refusal::TableFull(11)));
    }

    #[test]
    fn a_reload_forgets_nothing_that_is_fresh_and_refuses_nothing_that_is_new() {
        let all = Arc::default();
        let now = Clock::default().now();
        let before = among(&all, settings(1000, Duration::from_secs(6)));
        for entry in 0..100_u8 {
            assert_eq!(before.enter("a", [entry; 16], now), Ok(()));
        }
        let after = among(&all, settings(8, Duration::from_secs(50)));
        drop(before);
        let later = now + Duration::from_secs(40);
        assert_eq!(after.enter("a", [1; 16], later), Err(Refusal::Replayed));
        assert_eq!(after.enter("a", [200; 16], later), Ok(()));
        assert_eq!(all.lock().len(), 2);
        let stale = now + Duration::from_mins(2);
        assert_eq!(after.enter("a", [201; 16], stale), Ok(()));
        assert_eq!(
            all.lock().len(),
            1,
            "what is stale everywhere is given back"
        );
        drop(among(&all, settings(8, Duration::from_secs(50))));
        assert_eq!(all.lock().len(), 1, "one that saw nothing leaves nothing");
    }
}
