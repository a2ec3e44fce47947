//! Members by source, in the order of their arrival: whose turn is next, and who goes first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::source::Source;

/// Members by source. Every operation takes logarithmic time, whatever sources a flood comes from.
#[derive(Debug)]
pub(crate) struct Table<T> {
    next: u64,
    len: usize,
    sources: BTreeMap<Source, BTreeMap<u64, T>>,
    /// Each source by how many members it has; among equals the one with the oldest is last.
    ranks: BTreeSet<(usize, Reverse<u64>, Source)>,
    /// The source that had the last turn.
    last: Option<Source>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            next: 0,
            len: 0,
            sources: BTreeMap::new(),
            ranks: BTreeSet::new(),
            last: None,
        }
    }
}

impl<T> Table<T> {
    /// Members at present.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a member; its number.
    pub(crate) fn insert(&mut self, source: Source, member: T) -> u64 {
        let number = self.next;
        self.next += 1;
        self.ranked(source, |members| {
            members.insert(number, member);
        });
        self.len += 1;
        number
    }

    /// Takes everything out. Numbers go on: one of before names nobody of later.
    pub(crate) fn take(&mut self) -> Self {
        let next = self.next;
        std::mem::replace(
            self,
            Self {
                next,
                ..Self::default()
            },
        )
    }

    /// Takes a member out, unless it was taken before.
    pub(crate) fn remove(&mut self, source: Source, number: u64) -> Option<T> {
        let removed = self.ranked(source, |members| members.remove(&number));
        self.len -= usize::from(removed.is_some());
        removed
    }

    /// Takes out the oldest of the source that has most.
    pub(crate) fn evict(&mut self) -> Option<T> {
        let (_, _, source) = *self.ranks.last()?;
        self.take_oldest(source)
    }

    /// Takes out the oldest of the source whose turn it is: sources in a circle, one member each.
    pub(crate) fn take_turn(&mut self) -> Option<T> {
        let behind = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut behind = self.sources.range((behind, Bound::Unbounded));
        let next = behind.next().or_else(|| self.sources.first_key_value());
        let (&source, _) = next?;
        self.last = Some(source);
        self.take_oldest(source)
    }

    fn take_oldest(&mut self, source: Source) -> Option<T> {
        let (_, member) = self.ranked(source, BTreeMap::pop_first)?;
        self.len -= 1;
        Some(member)
    }

    /// Changes the members of a source, and its rank with them.
    fn ranked<R>(&mut self, source: Source, change: impl FnOnce(&mut BTreeMap<u64, T>) -> R) -> R {
        let members = self.sources.entry(source).or_default();
        let before = rank(source, members);
        let result = change(members);
        let after = rank(source, members);
        if members.is_empty() {
            self.sources.remove(&source);
        }
        if before != after {
            before.map(|rank| self.ranks.remove(&rank));
            after.map(|rank| self.ranks.insert(rank));
        }
        result
    }

    #[cfg(test)]
    pub(crate) fn holds_nothing(&self) -> bool {
        self.len == 0 && self.sources.is_empty() && self.ranks.is_empty()
    }
}

fn rank<T>(source: Source, members: &BTreeMap<u64, T>) -> Option<(usize, Reverse<u64>, Source)> {
    let (oldest, _) = members.first_key_value()?;
    Some((members.len(), Reverse(*oldest), source))
}
