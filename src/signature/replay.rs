//! Which signatures were seen: bounded, for each principal too, and full means refused. Two buckets of
//! time, so that forgetting costs nothing.
//!
//! Each listener counts for itself, by its own settings. What one of them has accepted is a replay at all
//! others of the process, and after a reload too.

use std::collections::{HashMap, HashSet};
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
mod tests;
