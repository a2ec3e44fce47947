//! Replaces what is read from one file or two while the process runs (CAs for clients, ticket
//! keys), as certificates are: on a change of their directory, on request, and by a periodic re-check.
//! The last good ones stay.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::settings::{ReloadSettings, SETTLE_STEP};
use super::watch::DirectoryWatch;
use super::watched::{Look, Watched};
use crate::panics;
use crate::tls::credentials::{directory_of, volume_root};

/// Hears of every reload that succeeded or failed.
pub trait FileObserver: Send + Sync {
    /// A look at the file panicked; what is in use stays.
    fn panicked(&self);

    /// Something new is in use, or what a file holds cannot be used.
    fn reloaded(&self, ok: bool);
}

/// The task that keeps them up to date.
pub struct FileReloader {
    stores: Vec<Watched>,
    settings: ReloadSettings,
    observer: Arc<dyn FileObserver>,
    asked: watch::Receiver<Instant>,
    watch: DirectoryWatch,
}

impl FileReloader {
    /// Starts watching; [`Self::run`] does the rest, and looks at once when the second is sent the time.
    pub fn new(
        stores: Vec<Watched>,
        settings: ReloadSettings,
        observer: Arc<dyn FileObserver>,
    ) -> (Self, watch::Sender<Instant>) {
        let (ask, asked) = watch::channel(Instant::now());
        let files = stores.iter().flat_map(Watched::files);
        let directories = files.flat_map(|file| directories(&file)).collect();
        let reloader = Self {
            watch: DirectoryWatch::new(directories),
            stores,
            settings,
            observer,
            asked,
        };
        (reloader, ask)
    }

    /// Runs until the task is aborted; a panic does not end it.
    pub async fn run(mut self) {
        if self.stores.is_empty() {
            return;
        }
        while panics::caught(self.follow()).await.is_err() {
            self.observer.panicked();
            sleep(self.settings.recheck).await;
        }
    }

    /// The first look is at once: a change between loading and watching must not go unseen.
    async fn follow(&mut self) {
        self.look(None).await;
        let mut recheck = self.settings.rechecks();
        loop {
            tokio::select! {
                Ok(()) = self.asked.changed() => {
                    let asked = *self.asked.borrow_and_update();
                    self.look(Some(asked)).await;
                }
                () = self.watch.changed() => {
                    sleep(self.settings.debounce).await;
                    self.look(None).await;
                }
                _ = recheck.tick() => {
                    self.watch.arm();
                    self.look(None).await;
                }
            }
        }
    }

    async fn look(&self, asked: Option<Instant>) {
        for store in &self.stores {
            self.look_at(store, asked).await;
        }
    }

    /// What looks half written may become whole. A known failure is repeated only to who asked after it
    /// was reported.
    async fn look_at(&self, store: &Watched, asked: Option<Instant>) {
        let patience_ends = Instant::now() + self.settings.settle;
        loop {
            let looked = store.clone();
            let look = tokio::task::spawn_blocking(move || looked.look()).await;
            let message = match look {
                Ok(Look::Unchanged) => {
                    return store.log_unchanged(store.failure().forget(), asked.is_some());
                }
                Ok(Look::Loaded) => {
                    store.failure().forget();
                    store.log_loaded();
                    return self.observer.reloaded(true);
                }
                Ok(Look::Failed(message)) => message,
                Err(_) => {
                    self.observer.panicked();
                    let setting = store.setting();
                    format!("{setting}: the look at the file ended by a fault of this program")
                }
            };
            let known = store.failure().is(&message);
            if known && asked.is_none_or(|asked| store.failure().reported_since(asked)) {
                return;
            }
            if known || Instant::now() >= patience_ends {
                store.failure().record(&message);
                store.log_failed(&store.failure().get().unwrap_or_default());
                return self.observer.reloaded(false);
            }
            sleep(SETTLE_STEP).await;
        }
    }
}

/// Where a replacement of the file shows.
fn directories(file: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::iter::once(directory_of(file).to_owned()).chain(volume_root(file, file))
}
