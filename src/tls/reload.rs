//! Replaces certificates while the process runs: on a change of their directory, on request
//! (SIGHUP), and by a periodic re-check. Only a pair that passed every check of `credentials` is
//! published; anything else keeps the last good one. Live connections are never touched.

mod expiry;
mod failure;
mod files;
mod other;
mod outcome;
mod settings;
mod store;
mod watch;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::panics;
use crate::tls::credentials::{rfc3339, unix_seconds};
use expiry::ExpiryWarnings;
use failure::{Attempt, Failure};
use settings::SETTLE_STEP;
use watch::DirectoryWatch;

pub use failure::ReloadError;
pub use files::{FileObserver, FileReloader};
pub use other::{OtherFiles, Reread};
pub use outcome::{Outcome, ReloadObserver};
pub use settings::ReloadSettings;
pub use store::{CredentialStore, Health};
pub use watched::Watched;

/// The reloader has ended, nothing answers requests any more.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the certificate reloader has stopped")]
pub struct Stopped;

/// Asks a running [`Reloader`] for a reload. The reloader ends when its last handle is dropped.
#[derive(Clone, Debug)]
pub struct ReloadHandle {
    requests: mpsc::Sender<Request>,
}

/// When somebody asked, and who wants to be told.
type Request = (Instant, oneshot::Sender<Vec<Outcome>>);

impl ReloadHandle {
    /// Looks at all files now; one outcome for each store, in the order they were given in.
    pub async fn reload_now(&self) -> Result<Vec<Outcome>, Stopped> {
        let (answer, outcome) = oneshot::channel();
        let request = (Instant::now(), answer);
        self.requests.send(request).await.map_err(|_| Stopped)?;
        outcome.await.map_err(|_| Stopped)
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Trigger {
    /// A watched directory changed, or it is time for a re-check.
    Watch,
    /// Somebody asked then, and wants to be told again even of a failure that was known before.
    Request(Instant),
}

/// The task that keeps the stores up to date.
pub struct Reloader {
    stores: Vec<Arc<CredentialStore>>,
    settings: ReloadSettings,
    observer: Arc<dyn ReloadObserver>,
    requests: mpsc::Receiver<Request>,
    watch: DirectoryWatch,
    warnings: Vec<ExpiryWarnings>,
}

impl Reloader {
    /// Starts watching; [`Self::run`] does the rest.
    pub fn new(
        stores: Vec<Arc<CredentialStore>>,
        settings: ReloadSettings,
        observer: Arc<dyn ReloadObserver>,
    ) -> (Self, ReloadHandle) {
        let (sender, requests) = mpsc::channel(1);
        let directories = stores.iter().flat_map(|store| store.directories());
        let reloader = Self {
            watch: DirectoryWatch::new(directories.collect()),
            warnings: stores.iter().map(|_| ExpiryWarnings::default()).collect(),
            stores,
            settings,
            observer,
            requests,
        };
        (reloader, ReloadHandle { requests: sender })
    }

    /// Runs until the last handle is dropped; a panic does not end it.
    pub async fn run(mut self) {
        while panics::caught(self.follow()).await.is_err() {
            let _ = panics::caught_call(|| self.observer.panicked());
            sleep(self.settings.recheck).await;
        }
    }

    /// The first look is at once: a change between loading and watching must not go unseen.
    async fn follow(&mut self) {
        self.look(Trigger::Watch).await;
        self.warn_of_expiry();
        let mut recheck = self.settings.rechecks();
        loop {
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(request) => self.answer(request).await,
                    None => return,
                },
                () = self.watch.changed() => {
                    sleep(self.settings.debounce).await;
                    self.look(Trigger::Watch).await;
                }
                _ = recheck.tick() => {
                    self.watch.arm();
                    self.look(Trigger::Watch).await;
                    self.warn_of_expiry();
                }
            }
        }
    }

    async fn answer(&self, (asked, answer): Request) {
        let outcomes = self.look(Trigger::Request(asked)).await;
        if answer.send(outcomes).is_err() {
            info!("certificates were looked at for a request that was given up");
        }
    }

    /// Stores are looked at side by side: one that has to settle does not hold up the others.
    async fn look(&self, trigger: Trigger) -> Vec<Outcome> {
        let mut looks = JoinSet::new();
        for (index, store) in self.stores.iter().enumerate() {
            let look = Look {
                store: Arc::clone(store),
                settle: self.settings.settle,
                observer: Arc::clone(&self.observer),
                trigger,
            };
            let (store, observer) = (Arc::clone(store), Arc::clone(&self.observer));
            looks.spawn(async move {
                let outcome = panics::caught(look.run()).await;
                (
                    index,
                    outcome.unwrap_or_else(|_| panicked(&store, &*observer)),
                )
            });
        }
        let mut outcomes = looks.join_all().await;
        outcomes.sort_by_key(|(index, _)| *index);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    fn warn_of_expiry(&mut self) {
        let now = unix_seconds(std::time::SystemTime::now());
        for (store, warnings) in self.stores.iter().zip(&mut self.warnings) {
            let Some(current) = store.current() else {
                continue;
            };
            if let Some(warning) = warnings.due(current.facts(), now) {
                warning.log(store);
            }
        }
    }
}

fn panicked(store: &CredentialStore, observer: &dyn ReloadObserver) -> Outcome {
    let error = store.record(Failure::of_panic());
    // The observer may be what panicked.
    let _ = panics::caught_call(|| {
        observer.panicked();
        observer.reloaded(store, Err(&error));
    });
    Outcome::Failed(error)
}

/// One look at the files of one store.
struct Look {
    store: Arc<CredentialStore>,
    settle: Duration,
    observer: Arc<dyn ReloadObserver>,
    trigger: Trigger,
}

impl Look {
    async fn run(self) -> Outcome {
        let patience_ends = Instant::now() + self.settle;
        loop {
            match self.attempt().await {
                Attempt::Unchanged => return self.unchanged(),
                Attempt::Loaded(credentials) => {
                    self.store.publish(*credentials);
                    return self.loaded();
                }
                Attempt::Failed(failure) => {
                    if self.store.failed_like(&failure) {
                        return self.failed_again(failure);
                    }
                    if !failure.may_be_half_written || Instant::now() >= patience_ends {
                        return self.failed(failure);
                    }
                }
            }
            sleep(SETTLE_STEP).await;
        }
    }

    /// Files and keys are slow enough to stay off the threads that serve connections.
    async fn attempt(&self) -> Attempt {
        let store = Arc::clone(&self.store);
        let attempt = tokio::task::spawn_blocking(move || store.attempt()).await;
        attempt.unwrap_or_else(|_| {
            self.observer.panicked();
            Attempt::Failed(Failure::of_panic())
        })
    }

    fn unchanged(&self) -> Outcome {
        let restored = self.store.forget_failure();
        if restored {
            info!(
                cert = %self.store.cert_path().display(),
                "certificate files hold the pair in use again"
            );
            return Outcome::Restored;
        }
        if self.trigger != Trigger::Watch {
            info!(cert = %self.store.cert_path().display(), "certificate unchanged");
        }
        Outcome::Unchanged
    }

    fn loaded(&self) -> Outcome {
        let Some(current) = self.store.current() else {
            return Outcome::Unchanged;
        };
        let facts = current.facts();
        info!(
            cert = %self.store.cert_path().display(),
            subject = %facts.subject,
            not_after = %rfc3339(facts.not_after),
            sha256 = %facts.sha256,
            "certificate reloaded"
        );
        for warning in current.warnings() {
            warn!("{warning}");
        }
        self.observer.reloaded(&self.store, Ok(facts));
        Outcome::Reloaded
    }

    fn failed(&self, failure: Failure) -> Outcome {
        let error = self.store.record(failure);
        let cert = self.store.cert_path().display();
        let (reason, message) = (error.reason, &error.message);
        if self.store.current().is_some() {
            warn!(%cert, reason, error = %message, "certificate not reloaded, the last good one stays in use");
        } else {
            warn!(%cert, reason, error = %message, "no usable certificate yet, every handshake is refused");
        }
        self.observer.reloaded(&self.store, Err(&error));
        Outcome::Failed(error)
    }

    /// A re-check that finds what was reported already stays silent. So does a request that came while the
    /// report was on its way: a change and SIGHUP often come together, and are one failure.
    fn failed_again(&self, failure: Failure) -> Outcome {
        let told = match self.trigger {
            Trigger::Watch => true,
            Trigger::Request(asked) => self.store.reported_since(asked),
        };
        match self.store.last_error() {
            Some(known) if told => Outcome::Failed(known),
            _ => self.failed(failure),
        }
    }
}
