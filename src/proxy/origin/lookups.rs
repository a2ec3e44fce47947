//! Lookups of names. The host's resolver occupies a thread until its own timeout ends, even if the connection has given up
//! meanwhile, so the work is bounded and not only the waiting: one lookup of a name at a time serves all who
//! ask for it, and a bounded number of names is looked up at once.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, watch};

/// Names that are looked up at once for one egress; others wait for one of them to end.
const AT_ONCE: usize = 32;

/// The addresses of a name, without a port, or the resolver's words.
pub(super) type Found = Result<Vec<SocketAddr>, String>;

/// The lookups of one egress that are under way.
pub(crate) struct Lookups(Arc<Shared>);

struct Shared {
    by_name: Mutex<HashMap<String, watch::Sender<Option<Found>>>>,
    permits: Semaphore,
}

impl Default for Lookups {
    fn default() -> Self {
        Self(Arc::new(Shared {
            by_name: Mutex::default(),
            permits: Semaphore::new(AT_ONCE),
        }))
    }
}

impl Lookups {
    /// The addresses of a name by the lookup that is under way, or else by a new one.
    pub(super) async fn find<F>(&self, name: &str, lookup: impl Fn(String) -> F) -> Found
    where
        F: Future<Output = Found> + Send + 'static,
    {
        loop {
            let mut waiting = self.join(name, &lookup);
            let found = waiting.wait_for(Option::is_some).await;
            // Without a result it was given up in the moment in which this joined it.
            if let Ok(Some(found)) = found.as_deref() {
                return found.clone();
            }
        }
    }

    fn join<F>(&self, name: &str, lookup: &impl Fn(String) -> F) -> watch::Receiver<Option<Found>>
    where
        F: Future<Output = Found> + Send + 'static,
    {
        let mut by_name = self.0.by_name();
        if let Some(under_way) = by_name.get(name) {
            return under_way.subscribe();
        }
        let (sender, waiting) = watch::channel(None);
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
    fn by_name(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<Option<Found>>>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lookup; it leaves the table however it ends.
struct UnderWay {
    shared: Arc<Shared>,
    name: String,
    sender: watch::Sender<Option<Found>>,
}

impl UnderWay {
    /// Looks up unless everybody has gone before its turn.
    async fn run(self, lookup: impl Future<Output = Found>) {
        let permit = tokio::select! {
            permit = self.shared.permits.acquire() => permit,
            () = self.sender.closed() => return,
        };
        let found = lookup.await;
        drop(permit);
        let sender = self.sender.clone();
        // Out of the table first: a later call begins anew.
        drop(self);
        let _ = sender.send(Some(found));
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::task::{JoinSet, yield_now};

    use super::*;

    const ADDRESS: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    /// A resolver that answers for no name that begins with "dead".
    async fn resolver(name: String, begun: Arc<AtomicUsize>) -> Found {
        begun.fetch_add(1, Ordering::SeqCst);
        if name.starts_with("dead") {
            std::future::pending::<()>().await;
        }
        Ok(vec![ADDRESS])
    }

    #[tokio::test]
    async fn a_name_that_nobody_answers_for_is_asked_once_and_delays_no_other() {
        let (lookups, begun) = (Arc::new(Lookups::default()), Arc::new(AtomicUsize::new(0)));
        let mut waiting = JoinSet::new();
        for _ in 0..1_500 {
            let (lookups, begun) = (Arc::clone(&lookups), Arc::clone(&begun));
            waiting.spawn(async move {
                lookups
                    .find("dead.test", |name| resolver(name, Arc::clone(&begun)))
                    .await
            });
        }
        // Every task has had its turn many times over.
        for _ in 0..1_000 {
            yield_now().await;
        }
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        let found = lookups.find("good.test", |name| resolver(name, Arc::clone(&begun)));
        assert_eq!(found.await, Ok(vec![ADDRESS]));
    }

    #[tokio::test(start_paused = true)]
    async fn names_beyond_the_bound_wait_and_who_gives_up_leaves_nothing() {
        let (lookups, begun) = (Lookups::default(), Arc::new(AtomicUsize::new(0)));
        let mut gave_up = 0;
        for number in 0..AT_ONCE + 8 {
            let name = format!("dead-{number}.test");
            let lookup = lookups.find(&name, |name| resolver(name, Arc::clone(&begun)));
            let ended = tokio::time::timeout(Duration::from_secs(5), lookup).await;
            gave_up += usize::from(ended.is_err());
        }
        for _ in 0..1_000 {
            yield_now().await;
        }
        assert_eq!(gave_up, AT_ONCE + 8);
        assert_eq!(begun.load(Ordering::SeqCst), AT_ONCE);
        // Those that hold a thread stay; those that never began are gone.
        assert_eq!(lookups.0.by_name().len(), AT_ONCE);
    }

    #[tokio::test]
    async fn a_name_is_asked_anew_after_its_answer() {
        let (lookups, begun) = (Lookups::default(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..2 {
            let found = lookups.find("good.test", |name| resolver(name, Arc::clone(&begun)));
            assert_eq!(found.await, Ok(vec![ADDRESS]));
        }
        assert_eq!(begun.load(Ordering::SeqCst), 2);
        assert!(lookups.0.by_name().is_empty());
    }
}
