//! The task that keeps one pair up to date. It looks at the files when it is asked, and waits for nobody else.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::failure::{Attempt, Failure};
use super::outcome::{Outcome, ReloadObserver};
use super::settings::{ReloadSettings, SETTLE_STEP};
use super::store::CredentialStore;
use super::turn::{Found, Looks};
use crate::panics;
use crate::tls::credentials::rfc3339;

/// Why files are looked at; who wants to be told more comes last.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Trigger {
    /// A watched directory changed, or it is time for a re-check.
    Watch,
    /// Somebody asked then, and wants to be told again even of a failure that was known before.
    Request(Instant),
}

/// Asks for a look, and who wants to be told what it came to.
pub(super) struct Ask {
    pub(super) trigger: Trigger,
    pub(super) answer: Option<oneshot::Sender<Outcome>>,
}

/// Keeps one pair up to date.
pub(super) struct Keeper {
    pub(super) store: Arc<CredentialStore>,
    pub(super) settings: ReloadSettings,
    pub(super) observer: Arc<dyn ReloadObserver>,
    pub(super) looks: Looks<Attempt>,
    pub(super) asks: mpsc::UnboundedReceiver<Ask>,
}

impl Keeper {
    /// Until nobody can ask any more.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                ask = self.asks.recv() => match ask {
                    Some(first) => self.serve(first).await,
                    None => return,
                },
                // What it found may be of long ago.
                _ = self.looks.late() => {
                    self.look(Trigger::Watch).await;
                }
            }
        }
    }

    /// One look is for everybody who has asked by now.
    async fn serve(&mut self, first: Ask) {
        let mut asks = vec![first];
        while let Ok(next) = self.asks.try_recv() {
            asks.push(next);
        }
        let triggers = asks.iter().map(|ask| ask.trigger);
        let outcome = self.look(triggers.max().unwrap_or(Trigger::Watch)).await;
        for answer in asks.into_iter().filter_map(|ask| ask.answer) {
            // Nobody may wait any more.
            let _ = answer.send(outcome.clone());
        }
    }

    async fn look(&mut self, trigger: Trigger) -> Outcome {
        match panics::caught(self.looked(trigger)).await {
            Ok(outcome) => outcome,
            Err(_) => self.panicked(),
        }
    }

    fn panicked(&self) -> Outcome {
        let error = self.store.record(Failure::of_panic());
        // The observer may be what panicked.
        let _ = panics::caught_call(|| {
            self.observer.panicked();
            self.observer.reloaded(&self.store, Err(&error));
        });
        Outcome::Failed(error)
    }

    async fn looked(&mut self, trigger: Trigger) -> Outcome {
        let patience_ends = Instant::now() + self.settings.settle;
        loop {
            match self.attempt().await {
                Attempt::Unchanged => return self.unchanged(trigger),
                Attempt::Loaded(credentials) => {
                    self.store.publish(*credentials);
                    return self.loaded();
                }
                Attempt::Failed(failure) => {
                    if self.store.failed_like(&failure) {
                        return self.failed_again(failure, trigger);
                    }
                    if !failure.may_be_half_written || Instant::now() >= patience_ends {
                        return self.failed(failure);
                    }
                }
            }
            sleep(SETTLE_STEP).await;
        }
    }

    async fn attempt(&mut self) -> Attempt {
        let store = Arc::clone(&self.store);
        match self.looks.make(move || store.attempt()).await {
            Found::Done(attempt) => attempt,
            Found::Panicked => {
                self.observer.panicked();
                Attempt::Failed(Failure::of_panic())
            }
            Found::Late => {
                let cert = self.store.cert_name();
                Attempt::Failed(Failure::of_silence(&cert, self.settings.patience))
            }
        }
    }

    fn unchanged(&self, trigger: Trigger) -> Outcome {
        let restored = self.store.forget_failure();
        if restored {
            info!(
                cert = %self.store.cert_name(),
                "certificate files hold the pair in use again"
            );
            return Outcome::Restored;
        }
        if trigger != Trigger::Watch {
            info!(cert = %self.store.cert_name(), "certificate unchanged");
        }
        Outcome::Unchanged
    }

    fn loaded(&self) -> Outcome {
        let Some(current) = self.store.current() else {
            return Outcome::Unchanged;
        };
        let facts = current.facts();
        info!(
            cert = %self.store.cert_name(),
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
        let cert = self.store.cert_name();
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
    fn failed_again(&self, failure: Failure, trigger: Trigger) -> Outcome {
        let told = match trigger {
            Trigger::Watch => true,
            Trigger::Request(asked) => self.store.reported_since(asked),
        };
        match self.store.last_error() {
            Some(known) if told => Outcome::Failed(known),
            _ => self.failed(failure),
        }
    }
}
