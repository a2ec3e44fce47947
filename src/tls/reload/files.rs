//! Replaces what is read from one file or two while the process runs (CAs for clients, ticket
//! keys), as certificates are: on a change of their directory, on request, and by a periodic re-check.
//! The last good ones stay.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::settings::{ReloadSettings, SETTLE_STEP};
use super::source::Look;
use super::turn::{Found, Looks};
use super::watch::DirectoryWatch;
use super::watched::Watched;
use crate::panics;
use crate::redact::Shown;
use crate::tls::credentials::{directory_of, volume_root};

/// Hears of every reload that succeeded or failed.
pub trait FileObserver: Send + Sync {
    /// A look at the file panicked; what is in use stays.
    fn panicked(&self);

    /// Something new is in use, or what a file holds cannot be used.
    fn reloaded(&self, ok: bool);
}

/// The task that keeps them up to date: one of its own for each, so that none waits for another.
pub struct FileReloader {
    stores: Vec<Watched>,
    settings: ReloadSettings,
    observer: Arc<dyn FileObserver>,
    asked: watch::Receiver<Instant>,
    watch: DirectoryWatch,
    /// Nobody asked, and it is time for a look.
    rounds: watch::Sender<()>,
}

impl FileReloader {
    /// [`Self::run`] does everything, and looks at once when the second is sent the time.
    pub fn new(
        stores: Vec<Watched>,
        settings: ReloadSettings,
        observer: Arc<dyn FileObserver>,
    ) -> (Self, watch::Sender<Instant>) {
        let (ask, asked) = watch::channel(Instant::now());
        let watched = stores.clone();
        let all = move || {
            let files = watched.iter().flat_map(Watched::files);
            files.flat_map(|file| directories(&file)).collect()
        };
        let reloader = Self {
            watch: DirectoryWatch::new(all),
            stores,
            settings,
            observer,
            asked,
            rounds: watch::Sender::new(()),
        };
        (reloader, ask)
    }

    /// Runs until the task is aborted; a panic does not end it.
    pub async fn run(self) {
        if self.stores.is_empty() {
            return;
        }
        let mut keepers = JoinSet::new();
        for store in &self.stores {
            let keeper = Keeper {
                looks: Looks::new(store.failure().turn(), self.settings.patience),
                store: store.clone(),
                settings: self.settings,
                observer: Arc::clone(&self.observer),
                asked: self.asked.clone(),
                rounds: self.rounds.subscribe(),
            };
            keepers.spawn(keeper.run());
        }
        while panics::caught(self.follow()).await.is_err() {
            let _ = panics::caught_call(|| self.observer.panicked());
            sleep(self.settings.recheck).await;
        }
    }

    /// The first look is at once: a change between loading and watching must not go unseen.
    async fn follow(&self) {
        self.watch.armed().await;
        self.rounds.send_replace(());
        self.warn_of_expiry();
        let mut recheck = self.settings.rechecks();
        loop {
            tokio::select! {
                () = self.watch.changed() => sleep(self.settings.debounce).await,
                _ = recheck.tick() => {
                    drop(self.watch.arm());
                    self.warn_of_expiry();
                }
            }
            self.rounds.send_replace(());
        }
    }

    fn warn_of_expiry(&self) {
        self.stores.iter().for_each(Watched::warn_of_expiry);
    }
}

/// Keeps one of them up to date.
struct Keeper {
    store: Watched,
    settings: ReloadSettings,
    observer: Arc<dyn FileObserver>,
    looks: Looks<Look>,
    asked: watch::Receiver<Instant>,
    rounds: watch::Receiver<()>,
}

impl Keeper {
    async fn run(mut self) {
        while panics::caught(self.follow()).await.is_err() {
            let _ = panics::caught_call(|| self.observer.panicked());
            sleep(self.settings.recheck).await;
        }
    }

    async fn follow(&mut self) {
        loop {
            tokio::select! {
                Ok(()) = self.asked.changed() => {
                    let asked = *self.asked.borrow_and_update();
                    self.look(Some(asked), None).await;
                }
                changed = self.rounds.changed() => match changed {
                    Ok(()) => self.look(None, None).await,
                    Err(_) => return,
                },
                late = self.looks.late() => {
                    self.look(None, Some(late)).await;
                    // What it found may be of long ago.
                    self.look(None, None).await;
                }
            }
        }
    }

    /// What looks half written may become whole. A known failure is repeated only to who asked after it
    /// was reported.
    async fn look(&mut self, asked: Option<Instant>, mut late: Option<Found<Look>>) {
        let patience_ends = Instant::now() + self.settings.settle;
        let store = self.store.clone();
        loop {
            let looked = store.clone();
            let found = match late.take() {
                Some(found) => found,
                None => self.looks.make(move || looked.look()).await,
            };
            let silent = matches!(found, Found::Late);
            let failure = match found {
                Found::Done(Ok(false)) => {
                    return store.log_unchanged(store.failure().forget(), asked.is_some());
                }
                Found::Done(Ok(true)) => {
                    store.failure().forget();
                    store.log_loaded();
                    return self.observer.reloaded(true);
                }
                Found::Done(Err(failure)) => failure,
                Found::Panicked => {
                    self.observer.panicked();
                    let setting = store.setting();
                    format!("{setting}: the look at the file ended by a fault of this program")
                        .into()
                }
                Found::Late => self.silence().into(),
            };
            let known = store.failure().is(&failure);
            if known && asked.is_none_or(|asked| store.failure().reported_since(asked)) {
                return;
            }
            if known || silent || Instant::now() >= patience_ends {
                store.failure().record(&failure);
                store.log_failed(&store.failure().get().unwrap_or_default());
                return self.observer.reloaded(false);
            }
            sleep(SETTLE_STEP).await;
        }
    }

    /// What is said of a look that was given up.
    fn silence(&self) -> String {
        let files = self.store.files();
        let files: Vec<_> = files
            .iter()
            .map(|file| Shown::path(file).to_string())
            .collect();
        format!(
            "{}: {} could not be read within {} s: look at the file system",
            self.store.setting(),
            files.join(", "),
            self.settings.patience.as_secs()
        )
    }
}

/// Where a replacement of the file shows.
fn directories(file: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::iter::once(directory_of(file).to_owned()).chain(volume_root(file, file))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::tls::reload::{OtherFiles, Reread, Source};

    struct Still;

    impl Reread for Still {
        fn setting(&self) -> &'static str {
            "still"
        }

        fn files(&self) -> Vec<PathBuf> {
            vec![std::env::temp_dir().join("still")]
        }

        fn reread(&self) -> Result<bool, String> {
            Ok(false)
        }

        fn in_use(&self) -> Vec<String> {
            Vec::new()
        }

        fn warnings(&self) -> Vec<String> {
            Vec::new()
        }
    }

    /// Counts panics, and panics itself.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl FileObserver for Counting {
        fn panicked(&self) {
            let before = self.0.fetch_add(1, Ordering::Relaxed);
            assert_ne!(before, 0, "as asked");
        }

        fn reloaded(&self, _: bool) {}
    }

    #[tokio::test]
    async fn a_panic_of_the_round_is_counted_and_ends_nothing() {
        // A time beyond what a clock can say.
        let settings = ReloadSettings {
            recheck: Duration::MAX,
            ..ReloadSettings::default()
        };
        let still = Watched::of_process(Source::Other(Arc::new(OtherFiles::new(Still))));
        let observer = Arc::new(Counting::default());
        let (reloader, _ask) = FileReloader::new(vec![still], settings, Arc::clone(&observer) as _);
        let running = tokio::spawn(reloader.run());
        while observer.0.load(Ordering::Relaxed) == 0 {
            assert!(!running.is_finished());
            sleep(Duration::from_millis(1)).await;
        }
        sleep(Duration::from_millis(50)).await;
        assert!(!running.is_finished());
        running.abort();
    }
}
