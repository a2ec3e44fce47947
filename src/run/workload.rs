//! Listeners whose certificate an agent gives: one task each, which fills their stores.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::log_limit::LogLimit;
use crate::metrics::{Metrics, PanickedTask};
use crate::panics;
use crate::redact::Shown;
use crate::spiffe::{self, Error, Response, Svid};
use crate::tls::credentials::{CertificateFacts, rfc3339};
use crate::tls::digest::digest_of;
use crate::tls::reload::{ReloadError, ReloadObserver, Turned};
use crate::tls::workload::{Workload, WorkloadStores};

/// How often it is looked what the clock makes of SVIDs.
const CLOCK_STEP: Duration = Duration::from_secs(1);
/// Between two lines that say that an agent gives again what it gave before.
const AGAIN_EVERY: Duration = Duration::from_mins(10);

/// What is to be filled, and from where.
pub(super) struct WorkloadTask {
    pub(super) listener: String,
    pub(super) socket: PathBuf,
    /// Which of several identities.
    pub(super) hint: Option<String>,
    pub(super) stores: WorkloadStores,
    pub(super) observer: Arc<dyn ReloadObserver>,
    pub(super) metrics: Arc<Metrics>,
}

impl WorkloadTask {
    pub(super) fn spawn(self) -> JoinHandle<()> {
        let hearing = Hearing {
            task: self,
            said: Mutex::default(),
            refused: Mutex::default(),
            given: Mutex::default(),
            again: LogLimit::new(AGAIN_EVERY, 1),
        };
        tokio::spawn(async move {
            loop {
                let both = async {
                    tokio::join!(
                        spiffe::follow(hearing.task.socket.clone(), &hearing),
                        hearing.watch_clock(),
                    )
                };
                if panics::caught(both).await.is_err() {
                    hearing.task.metrics.panicked(PanickedTask::Reload);
                    tokio::time::sleep(CLOCK_STEP).await;
                }
            }
        })
    }
}

/// An answer that may count when its time comes.
struct Refused {
    response: Response,
    /// Which of its dates is against it.
    reason: &'static str,
}

struct Hearing {
    task: WorkloadTask,
    /// The failure that was logged last: a repeated one is not said again.
    said: Mutex<String>,
    /// The last answer, if only its dates are against it: an agent does not give it twice.
    refused: Mutex<Option<Refused>>,
    /// A digest of what is in use, unless an answer was refused since.
    given: Mutex<Option<[u8; 32]>>,
    again: LogLimit,
}

impl Hearing {
    async fn watch_clock(&self) {
        let mut look = interval(CLOCK_STEP);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            self.look_at_clock();
        }
    }

    fn look_at_clock(&self) {
        let WorkloadTask {
            listener, stores, ..
        } = &self.task;
        match stores.turn_by_clock() {
            None => {}
            Some(Turned::Ended(_)) => {
                tracing::error!(%listener, "the last SVID has expired: every handshake is refused until the agent gives another");
            }
            Some(Turned::Restored(until)) => {
                let until = rfc3339(until);
                tracing::info!(%listener, %until, "the last SVID is in use again: the clock was ahead");
            }
        }
        stores.warn_of_expiry();
        self.look_at_refused();
    }

    /// When its time has come, what stands against an answer otherwise is found for the first time.
    fn look_at_refused(&self) {
        let Some(Refused { response, reason }) = self.refused().take() else {
            return;
        };
        let Some(svid) = self.chosen(&response) else {
            return;
        };
        let stores = &self.task.stores;
        match stores.publish_again(&of_answer(svid, &response), reason) {
            None => *self.refused() = Some(Refused { response, reason }),
            Some(Ok((facts, warnings))) => self.log_used(svid, &response, &facts, warnings),
            Some(Err(error)) => self.log_not_used(&error, response),
        }
    }

    fn refused(&self) -> MutexGuard<'_, Option<Refused>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn chosen<'a>(&self, response: &'a Response) -> Option<&'a Svid> {
        response.chosen(self.task.hint.as_deref())
    }

    fn log_used(
        &self,
        svid: &Svid,
        response: &Response,
        facts: &CertificateFacts,
        warnings: Vec<String>,
    ) {
        let WorkloadTask {
            listener,
            stores,
            observer,
            ..
        } = &self.task;
        let new = self.is_new(Some(digest(svid, response)));
        if !new && self.again.admit().is_none() {
            return;
        }
        let (id, not_after) = (&svid.id, rfc3339(facts.not_after));
        tracing::info!(%listener, %id, %not_after, sha256 = %facts.sha256, "SVID in use");
        for warning in warnings {
            tracing::warn!(%listener, "{warning}");
        }
        self.is_news("");
        if new {
            observer.reloaded(stores.credentials(), Ok(facts));
        }
    }

    fn log_not_used(&self, error: &ReloadError, response: Response) {
        let WorkloadTask {
            listener,
            stores,
            observer,
            ..
        } = &self.task;
        let reason = error.reason;
        *self.refused() = error.is_of_time().then_some(Refused { response, reason });
        self.is_new(None);
        if self.is_news(&error.message) {
            tracing::warn!(%listener, %error, "SVID not used");
        }
        observer.reloaded(stores.credentials(), Err(error));
    }

    /// Whether this is not what was in use before.
    fn is_new(&self, given: Option<[u8; 32]>) -> bool {
        let mut last = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *last, given) != given
    }

    /// Whether this was not what was said last.
    fn is_news(&self, message: &str) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let news = *said != message;
        message.clone_into(&mut said);
        news
    }
}

impl spiffe::Listener for Hearing {
    fn answered(&self, response: Response) -> bool {
        let WorkloadTask { stores, hint, .. } = &self.task;
        // What the agent said before is over, whatever this is.
        *self.refused() = None;
        let published = match self.chosen(&response) {
            None => Err(stores.failed(&no_identity(&response, hint.as_deref()))),
            Some(svid) => {
                let published = stores.publish(&of_answer(svid, &response));
                published.map(|used| (svid, used))
            }
        };
        match published {
            Ok((svid, (facts, warnings))) => {
                self.log_used(svid, &response, &facts, warnings);
                true
            }
            Err(error) => {
                self.log_not_used(&error, response);
                false
            }
        }
    }

    fn ended(&self, error: &Error, lived: bool) {
        let WorkloadTask {
            listener, stores, ..
        } = &self.task;
        let message = error.to_string();
        let current = stores.credentials().current();
        // The agent restarts and is upgraded: what it gave counts meanwhile, and it is asked again.
        stores.failed(&message);
        if error.is_denied() {
            *self.refused() = None;
        }
        if lived {
            self.is_news("");
        }
        if !self.is_news(&message) {
            return;
        }
        match current {
            Some(pair) if error.is_denied() => {
                let until = rfc3339(pair.facts().not_after);
                tracing::error!(%listener, %error, %until, "identity withdrawn: the last SVID is served until it ends");
            }
            Some(pair) => {
                let until = rfc3339(pair.facts().not_after);
                tracing::warn!(%listener, %error, %until, "Workload API not available, the last SVID stays in use");
            }
            None => tracing::warn!(%listener, %error, "no SVID yet, every handshake is refused"),
        }
    }
}

fn of_answer<'a>(svid: &'a Svid, response: &'a Response) -> Workload<'a> {
    Workload {
        id: &svid.id,
        chain: &svid.chain,
        key: &svid.key,
        bundle: &svid.bundle,
        federated: &response.federated,
        revocation_lists: &response.revocation_lists,
    }
}

/// Of everything in an answer that is used. A key belongs to its certificate.
fn digest(svid: &Svid, response: &Response) -> [u8; 32] {
    let own = [svid.id.as_bytes(), &svid.chain, &svid.bundle];
    let federated = response.federated.iter();
    let federated = federated.flat_map(|(domain, bundle)| [domain.as_bytes(), bundle.as_slice()]);
    let lists = response.revocation_lists.iter();
    let lists = lists.flat_map(|list| [b"list".as_slice(), list]);
    digest_of(own.into_iter().chain(federated).chain(lists))
}

/// What stands against an answer without the identity that is wanted. Hints are not repeated: an agent may
/// send anything.
fn no_identity(response: &Response, hint: Option<&str>) -> String {
    let count = response.svids.len();
    match hint {
        Some(hint) if count > 0 => format!(
            "none of the {count} identities of the agent's answer has the hint `{}` (spiffe-hint)",
            Shown::from(hint)
        ),
        _ => "the agent's answer holds no identity".to_owned(),
    }
}
