//! Partial results of this process, so that they can be removed when a signal ends it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, failed};

/// Held to create and to place: nothing appears while a signal removes.
static PARTIAL: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// The paths, until this is dropped.
pub(super) struct Held(MutexGuard<'static, Vec<PathBuf>>);

/// Waits for the others; for ever if a signal ends the process.
pub(super) fn hold() -> Held {
    Held(PARTIAL.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Held {
    /// To remove if a signal ends the process.
    pub(super) fn add(&mut self, path: &Path) {
        self.0.push(path.to_owned());
    }

    /// It has its name, or is gone.
    pub(super) fn forget(&mut self, path: &Path) {
        self.0.retain(|known| known != path);
    }
}

/// Removes every partial result. Nothing is created and nothing gets its name from then on: the process
/// is about to end.
pub fn remove_all() {
    let held = hold();
    for path in held.0.iter().rev() {
        let _ = remove(path);
    }
    std::mem::forget(held);
}

/// A link is removed, not what it points to.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    let metadata = fs::symlink_metadata(path).map_err(failed("read", path))?;
    let removed = if metadata.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.map_err(failed("remove", path))
}
