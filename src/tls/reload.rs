//! Replaces certificates while the process runs: on a change of their directory, on request
//! (SIGHUP), and by a periodic re-check. Only a pair that passed every check of `credentials` is
//! published; anything else keeps the last good one. Live connections are never touched.

mod expiry;
mod failure;
mod files;
mod in_use;
mod look;
mod other;
mod outcome;
mod settings;
mod source;
mod store;
mod turn;
mod watch;
mod watched;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tracing::info;

use crate::panics;
use failure::Failure;
use look::{Ask, Keeper, Trigger};
use turn::Looks;
use watch::DirectoryWatch;

pub(in crate::tls) use expiry::ExpiryWarnings;
pub use failure::ReloadError;
pub use files::{FileObserver, FileReloader};
pub use in_use::Turned;
pub use other::{OtherFiles, Reread};
pub use outcome::{Outcome, ReloadObserver};
pub use settings::ReloadSettings;
pub use source::Source;
pub use store::{CredentialStore, Health};
pub(in crate::tls) use turn::Turn;
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

/// The task that keeps the stores up to date: one of its own for each, so that none waits for another.
pub struct Reloader {
    stores: Vec<Arc<CredentialStore>>,
    settings: ReloadSettings,
    observer: Arc<dyn ReloadObserver>,
    requests: mpsc::Receiver<Request>,
    watch: DirectoryWatch,
    keepers: Vec<mpsc::UnboundedSender<Ask>>,
    tasks: JoinSet<()>,
}

impl Reloader {
    /// Nothing is watched before [`Self::run`].
    pub fn new(
        stores: Vec<Arc<CredentialStore>>,
        settings: ReloadSettings,
        observer: Arc<dyn ReloadObserver>,
    ) -> (Self, ReloadHandle) {
        let (sender, requests) = mpsc::channel(1);
        let watched = stores.clone();
        let directories = move || {
            let watched = watched.iter();
            watched.flat_map(|store| store.directories()).collect()
        };
        let reloader = Self {
            watch: DirectoryWatch::new(directories),
            stores,
            settings,
            observer,
            requests,
            keepers: Vec::new(),
            tasks: JoinSet::new(),
        };
        (reloader, ReloadHandle { requests: sender })
    }

    /// Runs until the last handle is dropped; a panic does not end it.
    pub async fn run(mut self) {
        self.start_keepers();
        while panics::caught(self.follow()).await.is_err() {
            let _ = panics::caught_call(|| self.observer.panicked());
            sleep(self.settings.recheck).await;
        }
    }

    fn start_keepers(&mut self) {
        for store in &self.stores {
            let (ask, asks) = mpsc::unbounded_channel();
            let keeper = Keeper {
                store: Arc::clone(store),
                settings: self.settings,
                observer: Arc::clone(&self.observer),
                looks: Looks::new(store.turn(), self.settings.patience),
                asks,
            };
            self.tasks.spawn(keeper.run());
            self.keepers.push(ask);
        }
    }

    /// The first look is at once: a change between loading and watching must not go unseen.
    async fn follow(&mut self) {
        self.watch.armed().await;
        self.look();
        self.warn_of_expiry();
        let mut recheck = self.settings.rechecks();
        loop {
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(request) => self.answer(request),
                    None => return,
                },
                () = self.watch.changed() => {
                    sleep(self.settings.debounce).await;
                    self.look();
                }
                _ = recheck.tick() => {
                    let _ = self.watch.arm();
                    self.look();
                    self.warn_of_expiry();
                }
            }
        }
    }

    fn look(&self) {
        for keeper in &self.keepers {
            // It ends with this task only.
            let _ = keeper.send(Ask {
                trigger: Trigger::Watch,
                answer: None,
            });
        }
    }

    /// Who asked waits for the slowest of them; nobody else does.
    fn answer(&mut self, (asked, answer): Request) {
        let mut answers = Vec::new();
        for keeper in &self.keepers {
            let (told, outcome) = oneshot::channel();
            let _ = keeper.send(Ask {
                trigger: Trigger::Request(asked),
                answer: Some(told),
            });
            answers.push(outcome);
        }
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(async move {
            let mut outcomes = Vec::new();
            for outcome in answers {
                let outcome = outcome.await;
                let ended = |_| Outcome::Failed(Failure::of_panic().error);
                outcomes.push(outcome.unwrap_or_else(ended));
            }
            if answer.send(outcomes).is_err() {
                info!("certificates were looked at for a request that was given up");
            }
        });
    }

    fn warn_of_expiry(&self) {
        for store in &self.stores {
            store.warn_of_expiry();
        }
    }
}
