//! The most frequent of any number of keys in bounded memory: Space-Saving (Metwally, Agrawal, El Abbadi,
//! "Efficient computation of frequent and top-k elements in data streams", 2005).
//!
//! A key that is not among the entries takes the place of the least frequent one and inherits its count as
//! its error. A count is never too small and by at most n/size too large, so no key with more arrivals than
//! that is missing. A linear search: it runs for classical hellos only.

use super::settings::Source;
use crate::tls::hello::Ja4;

/// What clients are told apart by.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key {
    pub(super) ja4: Ja4,
    pub(super) source: Option<Source>,
    pub(super) identity: Option<Box<str>>,
}

/// One kind of client.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    hash: u64,
    pub(super) key: Key,
    /// Arrivals; too many by at most `error`.
    pub(super) count: u64,
    pub(super) error: u64,
    /// Of those that were seen for certain: handshakes that failed.
    pub(super) failed: u64,
    pub(super) last_seen: u64,
    /// What the last one called the server.
    pub(super) server_name: Option<Box<str>>,
}

#[derive(Debug)]
pub(super) struct Sketch {
    /// At least one.
    size: usize,
    entries: Vec<Entry>,
}

impl Sketch {
    pub(super) fn new(size: usize) -> Self {
        Self {
            size: size.max(1),
            entries: Vec::new(),
        }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Counts an arrival; its entry.
    pub(super) fn add(&mut self, hash: u64, key: Key) -> &mut Entry {
        let index = self.place(hash, &key);
        let new = |count, error| Entry {
            hash,
            key,
            count,
            error,
            failed: 0,
            last_seen: 0,
            server_name: None,
        };
        match index {
            Place::Known(index) => self.entries[index].count += 1,
            Place::Free => self.entries.push(new(1, 0)),
            Place::Least(index) => {
                let least = self.entries[index].count;
                self.entries[index] = new(least + 1, least);
            }
        }
        let index = match index {
            Place::Known(index) | Place::Least(index) => index,
            Place::Free => self.entries.len() - 1,
        };
        &mut self.entries[index]
    }

    fn place(&self, hash: u64, key: &Key) -> Place {
        let (mut least, mut least_count) = (0, u64::MAX);
        for (index, entry) in self.entries.iter().enumerate() {
            if entry.hash == hash && entry.key == *key {
                return Place::Known(index);
            }
            if entry.count < least_count {
                (least, least_count) = (index, entry.count);
            }
        }
        if self.entries.len() < self.size {
            Place::Free
        } else {
            Place::Least(least)
        }
    }
}

/// Where a key belongs.
#[derive(Clone, Copy)]
enum Place {
    Known(usize),
    Free,
    Least(usize),
}
