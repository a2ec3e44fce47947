//! Lookups of names. The host's resolver occupies a thread until its own timeout ends, even if the connection has given up
//! meanwhile, so the work is bounded and not only the waiting: one lookup of a name at a time serves all who
//! ask for it, and a bounded number of names is looked up at once. Some of those places are kept for names that had
//! an address before: names that no DNS server answers for, which an app asks for as often as it likes, do not hold them.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::panics::{self, OnPanic};

/// Names that are looked up at once for one egress; others wait for one of them to end.
pub(super) const AT_ONCE: usize = 32;

/// More of them that had an address before.
const KNOWN_AT_ONCE: usize = 16;

/// Names that are remembered to have one; when there are more, all are forgotten.
const MOST_KNOWN: usize = 1024;

/// The addresses of a name, without a port, or the resolver's words.
pub(super) type Found = Result<Vec<SocketAddr>, String>;

/// Nobody answered in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Late {
    /// The resolver was asked.
    Asked,
    /// It was not: other names had all places.
    Waited,
}

/// How far a lookup is.
#[derive(Debug)]
enum Stage {
    Waits,
    Asked,
    Ended(Found),
}

/// The lookups of one egress that are under way.
pub(crate) struct Lookups(Arc<Shared>);

struct Shared {
    by_name: Mutex<HashMap<String, watch::Sender<Stage>>>,
    places: Semaphore,
    places_of_known: Semaphore,
    known: Mutex<HashSet<String>>,
    panicked: OnPanic,
}

impl Lookups {
    /// None under way; `panicked` hears of each panic.
    pub(crate) fn new(panicked: OnPanic) -> Self {
        Self(Arc::new(Shared {
            by_name: Mutex::default(),
            places: Semaphore::new(AT_ONCE),
            places_of_known: Semaphore::new(KNOWN_AT_ONCE),
            known: Mutex::default(),
            panicked,
        }))
    }

    /// The addresses of a name by the lookup that is under way, or else by a new one.
    pub(super) async fn find<F>(
        &self,
        name: &str,
        patience: Duration,
        lookup: impl Fn(String) -> F,
    ) -> Result<Found, Late>
    where
        F: Future<Output = Found> + Send + 'static,
    {
        let mut late = Late::Waited;
        let found = async {
            loop {
                let mut under_way = self.join(name, &lookup);
                loop {
                    match &*under_way.borrow_and_update() {
                        Stage::Waits => {}
                        Stage::Asked => late = Late::Asked,
                        Stage::Ended(found) => return found.clone(),
                    }
                    // Without a result it was given up in the moment in which this joined it.
                    if under_way.changed().await.is_err() {
                        break;
                    }
                }
            }
        };
        let found = timeout(patience, found).await;
        found.map_err(|_| late)
    }

    fn join<F>(&self, name: &str, lookup: &impl Fn(String) -> F) -> watch::Receiver<Stage>
    where
        F: Future<Output = Found> + Send + 'static,
    {
        let mut by_name = self.0.by_name();
        if let Some(under_way) = by_name.get(name) {
            return under_way.subscribe();
        }
        let (sender, waiting) = watch::channel(Stage::Waits);
        by_name.insert(name.to_owned(), sender.clone());
        let under_way = UnderWay {
            shared: Arc::clone(&self.0),
            name: name.to_owned(),
            sender,
        };
        tokio::spawn(under_way.run(lookup(name.to_owned())));
        waiting
    }
}

impl Shared {
    fn by_name(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<Stage>>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, HashSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, name: &str, found: &Found) {
        let mut known = self.known();
        if !found.as_ref().is_ok_and(|addresses| !addresses.is_empty()) {
            known.remove(name);
            return;
        }
        if known.len() >= MOST_KNOWN && !known.contains(name) {
            known.clear();
        }
        known.insert(name.to_owned());
    }
}

/// A lookup; it leaves the table however it ends.
struct UnderWay {
    shared: Arc<Shared>,
    name: String,
    sender: watch::Sender<Stage>,
}

impl UnderWay {
    /// Looks up unless everybody has gone before its turn.
    async fn run(self, lookup: impl Future<Output = Found>) {
        let known = self.shared.known().contains(&self.name);
        let place = tokio::select! {
            biased;
            place = self.shared.places.acquire() => place,
            place = self.shared.places_of_known.acquire(), if known => place,
            () = self.sender.closed() => return,
        };
        self.sender.send_replace(Stage::Asked);
        let found = panics::caught(lookup).await.unwrap_or_else(|_| {
            (self.shared.panicked)();
            Err("its lookup ended by a fault of this program, which the log names".to_owned())
        });
        drop(place);
        self.shared.learn(&self.name, &found);
        let sender = self.sender.clone();
        // Out of the table first: a later call begins anew.
        drop(self);
        let _ = sender.send(Stage::Ended(found));
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut by_name = self.shared.by_name();
        if by_name
            .get(&self.name)
            .is_some_and(|other| other.same_channel(&self.sender))
        {
            by_name.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests;
