//! The ticket keys in use, as handshakes read them and the reloader replaces them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::error::TicketKeyError;
use super::file::KeyFile;
use super::key_set::{KeySet, Secret};
use crate::tls::standing::StandingFailure;

/// The keys of one file.
#[derive(Debug)]
pub struct TicketKeyStore {
    path: PathBuf,
    current: ArcSwap<Current>,
    pub(in crate::tls) failure: StandingFailure,
}

#[derive(Debug)]
struct Current {
    /// From the file, not made by this process in its place.
    is_read: bool,
    keys: Arc<KeySet>,
    warning: Option<String>,
}

impl TicketKeyStore {
    /// Reads and checks the keys.
    pub fn load(path: &Path) -> Result<Self, TicketKeyError> {
        Ok(Self {
            path: path.to_owned(),
            current: ArcSwap::from_pointee(Current::read(path)?),
            failure: StandingFailure::default(),
        })
    }

    /// Stands for a file that holds nothing usable yet: until it does, this process makes its own keys.
    pub fn waiting(path: &Path, error: &TicketKeyError) -> Result<Self, TicketKeyError> {
        let keys = KeyFile::generate()?.set();
        let store = Self {
            path: path.to_owned(),
            current: ArcSwap::from_pointee(Current {
                is_read: false,
                keys: Arc::new(keys.ok_or(TicketKeyError::NoRandom)?),
                warning: None,
            }),
            failure: StandingFailure::default(),
        };
        store.failure.record(&error.to_string().into());
        Ok(store)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file has held nothing usable so far.
    pub fn is_waiting(&self) -> bool {
        !self.current.load().is_read
    }

    /// The failure that stands since the last good look, if any.
    pub fn last_error(&self) -> Option<Arc<String>> {
        self.failure.get()
    }

    /// What can be used and still should not stay.
    pub fn warning(&self) -> Option<String> {
        self.current.load().warning.clone()
    }

    /// The short name of the key that seals, and of those that only open.
    pub fn ids(&self) -> (String, Vec<String>) {
        let keys = self.current();
        let others = keys.others.iter().map(Secret::id);
        (keys.active.id(), others.collect())
    }

    pub(super) fn current(&self) -> Arc<KeySet> {
        Arc::clone(&self.current.load().keys)
    }

    /// Reads, checks and, if they are others, uses what the file holds; whether they are.
    pub(in crate::tls) fn reread(&self) -> Result<bool, TicketKeyError> {
        let read = Current::read(&self.path)?;
        let others = !read.keys.all().eq(self.current().all());
        if others || read.warning != self.warning() {
            // Or the same keys in a file with other permissions.
            self.current.store(Arc::new(read));
        }
        Ok(others)
    }
}

impl Current {
    fn read(path: &Path) -> Result<Self, TicketKeyError> {
        let (keys, warning) = KeyFile::load(path)?;
        let no_key = || TicketKeyError::Keys {
            path: path.into(),
            problem: "holds no active key",
        };
        Ok(Self {
            is_read: true,
            keys: Arc::new(keys.set().ok_or_else(no_key)?),
            warning,
        })
    }
}
