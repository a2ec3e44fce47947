//! Tells that something changed in a directory. Whole directories are watched, never files: a
//! replacement by rename, or by a swap of `..data`, puts a new file where a watched one was.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tracing::warn;

/// A watch over a set of directories. Without it (no inotify, or too many watches) the re-check remains.
pub(super) struct DirectoryWatch {
    directories: BTreeSet<PathBuf>,
    changed: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
    /// Directories whose watch failed, to warn of each once.
    unwatched: BTreeSet<PathBuf>,
}

impl DirectoryWatch {
    pub(super) fn new(directories: BTreeSet<PathBuf>) -> Self {
        let changed = Arc::new(Notify::new());
        let mut watch = Self {
            watcher: watcher(Arc::clone(&changed)),
            directories,
            changed,
            unwatched: BTreeSet::new(),
        };
        watch.arm();
        watch
    }

    /// Waits for a change since the last call.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Watches what is not watched; again after a directory was replaced.
    pub(super) fn arm(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for directory in &self.directories {
            match watcher.watch(directory, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.unwatched.remove(directory);
                }
                Err(error) => {
                    if self.unwatched.insert(directory.clone()) {
                        warn!(directory = %directory.display(), %error,
                            "cannot watch the certificate directory, changes show at the next re-check");
                    }
                }
            }
        }
    }
}

fn watcher(changed: Arc<Notify>) -> Option<RecommendedWatcher> {
    let tell = move |event: notify::Result<notify::Event>| {
        // An error can mean lost events, so it counts as a change.
        if event.is_ok_and(|event| is_only_a_look(event.kind)) {
            return;
        }
        changed.notify_one();
    };
    notify::recommended_watcher(tell)
        .inspect_err(|error| warn!(%error, "cannot watch directories, certificate changes show at the next re-check"))
        .ok()
}

/// Our own reading of the files must not set off the next.
fn is_only_a_look(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
        EventKind::Access(_) => true,
        _ => false,
    }
}
