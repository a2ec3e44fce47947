//! Tells that something changed in a directory. Whole directories are watched, never files: a
//! replacement by rename, or by a swap of `..data`, puts a new file where a watched one was.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use futures_util::FutureExt;
use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tracing::warn;

use crate::redact::{Shown, scrub};

/// Threads of the process that may be setting watches: a file system that does not answer holds one for ever.
static SETTING: Semaphore = Semaphore::const_new(16);

/// How long the first look waits for the watches.
const ARMED_WITHIN: Duration = Duration::from_secs(1);

/// A watch over a set of directories. Without it (no inotify, too many watches, a file system that does not
/// answer) the re-check remains.
pub(super) struct DirectoryWatch {
    changed: Arc<Notify>,
    watched: Arc<Mutex<Watched>>,
}

struct Watched {
    directories: Box<dyn Fn() -> BTreeSet<PathBuf> + Send>,
    changed: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
    armed: bool,
    /// Directories whose watch failed, to warn of each once.
    unwatched: BTreeSet<PathBuf>,
}

impl DirectoryWatch {
    /// Watches nothing before [`Self::arm`].
    pub(super) fn new(directories: impl Fn() -> BTreeSet<PathBuf> + Send + 'static) -> Self {
        let changed = Arc::new(Notify::new());
        let watched = Watched {
            directories: Box::new(directories),
            watcher: watcher(Arc::clone(&changed)),
            changed: Arc::clone(&changed),
            armed: false,
            unwatched: BTreeSet::new(),
        };
        Self {
            changed,
            watched: Arc::new(Mutex::new(watched)),
        }
    }

    /// Waits for a change since the last call.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Arms it, and does not wait for a file system that does not answer: that shows as a change later.
    pub(super) async fn armed(&self) {
        let Some(arming) = self.arm() else {
            return;
        };
        if timeout(ARMED_WITHIN, arming).await.is_ok() {
            // The look that follows sees it.
            let _ = self.changed.notified().now_or_never();
        }
    }

    /// Watches what is not watched; again after a directory was replaced.
    pub(super) fn arm(&self) -> Option<JoinHandle<()>> {
        let setting = SETTING.try_acquire().ok()?;
        let watched = Arc::clone(&self.watched);
        Some(spawn_blocking(move || {
            let _setting = setting;
            // Another still sets them.
            match watched.try_lock() {
                Ok(mut watched) => watched.arm(),
                // One that panicked left a list of directories, which is set anew.
                Err(TryLockError::Poisoned(watched)) => watched.into_inner().arm(),
                Err(TryLockError::WouldBlock) => {}
            }
        }))
    }
}

impl Watched {
    fn arm(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for directory in (self.directories)() {
            match watcher.watch(&directory, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.unwatched.remove(&directory);
                }
                Err(error) => {
                    if self.unwatched.insert(directory.clone()) {
                        warn!(directory = %Shown::path(&directory), error = %said(&error),
                            "cannot watch the certificate directory, changes show at the next re-check");
                    }
                }
            }
        }
        // A change before the watch must not go unseen.
        if !std::mem::replace(&mut self.armed, true) {
            self.changed.notify_one();
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
        .inspect_err(|error| warn!(error = %said(error), "cannot watch directories, certificate changes show at the next re-check"))
        .ok()
}

/// The library's own words repeat the path.
fn said(error: &notify::Error) -> String {
    scrub(&error.to_string()).into_owned()
}

/// Our own reading of the files must not set off the next.
fn is_only_a_look(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
        EventKind::Access(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_panic_while_watches_are_set_is_not_the_last_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let panics = AtomicBool::new(true);
        let watch = DirectoryWatch::new(move || {
            assert!(!panics.swap(false, Ordering::Relaxed), "as asked");
            BTreeSet::from([path.clone()])
        });
        assert!(watch.arm().unwrap().await.unwrap_err().is_panic());
        assert!(watch.watched.is_poisoned());
        watch.arm().unwrap().await.unwrap();
        let armed = watch.changed.notified().now_or_never();
        assert!(armed.is_some(), "a change before the watch counts");
        std::fs::write(dir.path().join("tls.crt"), "another").unwrap();
        timeout(Duration::from_mins(1), watch.changed())
            .await
            .unwrap();
    }
}
