//! Replaces the authorities for clients while the process runs, as certificates are: on a change of
//! their directory, on request, and by a periodic re-check. The last good ones stay.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tracing::{info, warn};

use super::settings::{ReloadSettings, SETTLE_STEP};
use super::watch::DirectoryWatch;
use crate::panics;
use crate::tls::credentials::volume_root;
use crate::tls::trust::{Attempt, TrustStore};

/// Hears of every reload that succeeded or failed.
pub trait TrustObserver: Send + Sync {
    /// A look at the file panicked; what is in use stays.
    fn panicked(&self);

    /// New authorities are in use, or what the file holds cannot be used.
    fn reloaded(&self, store: &TrustStore, ok: bool);
}

/// The task that keeps the authorities up to date.
pub struct TrustReloader {
    stores: Vec<Arc<TrustStore>>,
    settings: ReloadSettings,
    observer: Arc<dyn TrustObserver>,
    asked: Arc<Notify>,
    watch: DirectoryWatch,
}

impl TrustReloader {
    /// Starts watching; [`Self::run`] does the rest, and looks at once when the second is notified.
    pub fn new(
        stores: Vec<Arc<TrustStore>>,
        settings: ReloadSettings,
        observer: Arc<dyn TrustObserver>,
    ) -> (Self, Arc<Notify>) {
        let asked = Arc::new(Notify::new());
        let directories = stores.iter().flat_map(|store| {
            let settings = store.settings();
            let files = std::iter::once(&settings.ca).chain(&settings.crl);
            files.flat_map(|file| directories(file))
        });
        let reloader = Self {
            watch: DirectoryWatch::new(directories.collect()),
            stores,
            settings,
            observer,
            asked: Arc::clone(&asked),
        };
        (reloader, asked)
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
        self.look(false).await;
        let period = self.settings.recheck.max(SETTLE_STEP);
        let mut recheck = interval_at(Instant::now() + period, period);
        recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let asked = Arc::clone(&self.asked);
        loop {
            tokio::select! {
                () = asked.notified() => self.look(true).await,
                () = self.watch.changed() => {
                    sleep(self.settings.debounce).await;
                    self.look(false).await;
                }
                _ = recheck.tick() => {
                    self.watch.arm();
                    self.look(false).await;
                }
            }
        }
    }

    async fn look(&self, asked: bool) {
        for store in &self.stores {
            self.look_at(store, asked).await;
        }
    }

    /// What looks half written may become whole. A known failure is repeated only to who asked.
    async fn look_at(&self, store: &Arc<TrustStore>, asked: bool) {
        let patience_ends = Instant::now() + self.settings.settle;
        loop {
            let looked = Arc::clone(store);
            let attempt = tokio::task::spawn_blocking(move || looked.attempt()).await;
            let message = match attempt {
                Ok(Attempt::Unchanged) => return unchanged(store, asked),
                Ok(Attempt::Loaded(trust)) => {
                    store.publish(*trust);
                    return self.loaded(store);
                }
                Ok(Attempt::Failed(error)) => error.to_string(),
                Err(_) => {
                    self.observer.panicked();
                    "client-ca: the look at the file ended by a fault of this program".to_owned()
                }
            };
            let known = store.failed_like(&message);
            if known && !asked {
                return;
            }
            if known || Instant::now() >= patience_ends {
                return self.failed(store, &message);
            }
            sleep(SETTLE_STEP).await;
        }
    }

    fn loaded(&self, store: &TrustStore) {
        let trust = store.current();
        info!(client_ca = %store.settings().ca.display(), digest = trust.digest(), "authorities for clients reloaded");
        for warning in trust.warnings() {
            warn!("{warning}");
        }
        self.observer.reloaded(store, true);
    }

    fn failed(&self, store: &TrustStore, message: &str) {
        store.record(message);
        let error = store.last_error().unwrap_or_default();
        let client_ca = store.settings().ca.display();
        if store.is_waiting() {
            warn!(%client_ca, %error, "no usable authorities for clients yet, every client certificate is refused");
        } else {
            warn!(%client_ca, %error, "authorities for clients not reloaded, the last good ones stay in use");
        }
        self.observer.reloaded(store, false);
    }
}

fn unchanged(store: &TrustStore, asked: bool) {
    let client_ca = store.settings().ca.display();
    if store.forget_failure() {
        info!(%client_ca, "the file holds the authorities in use again");
    } else if asked {
        info!(%client_ca, "authorities for clients unchanged");
    }
}

/// Where a replacement of the file shows.
fn directories(file: &Path) -> Vec<PathBuf> {
    let parent = match file.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Some(PathBuf::from(".")),
        parent => parent.map(Path::to_owned),
    };
    parent.into_iter().chain(volume_root(file, file)).collect()
}
