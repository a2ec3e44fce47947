//! How many sockets to upstreams the process may have open: what the limit of file descriptors leaves
//! beside the clients. A new socket needs a permit and keeps it until it is closed; an idle connection
//! that is reused needs none.
//!
//! Most permits go to the first that ask. Some are kept for the first request of a connection: an
//! HTTP/2 client with hundreds of slow streams must not take the last socket from other clients.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::proxy::error::UpstreamError;

/// One permit in so many is kept for the first request of a connection.
const KEPT_FOR_FIRST: usize = 4;

/// Keeps sockets that nobody uses, and can close one.
pub(super) trait IdleSockets: Send + Sync {
    /// Closes the one that has been unused for longest; with `additional`, of those that have the permit
    /// of an additional request. Whether there was one whose permit is free now.
    fn evict_idle(&self, additional: bool) -> bool;
}

/// The permits of one process.
pub struct UpstreamPermits {
    all: Arc<Semaphore>,
    /// Of `all`, those that additional requests may take.
    additional: Arc<Semaphore>,
    /// Permits that there are to be; `None`: no bound.
    limit: Mutex<Option<usize>>,
    /// Requests that wait for a permit.
    waiting: AtomicUsize,
    /// Who keeps connections that nobody uses.
    upstreams: Mutex<Vec<Weak<dyn IdleSockets>>>,
}

/// What a request is to its client's connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Priority {
    /// The only request under way on its connection, or one that shares its upstream socket.
    First,
    /// One of several streams.
    Additional,
}

/// The permit of one socket, until the socket is closed.
pub(crate) struct SocketPermit {
    _all: OwnedSemaphorePermit,
    additional: Option<OwnedSemaphorePermit>,
}

impl SocketPermit {
    pub(super) fn is_additional(&self) -> bool {
        self.additional.is_some()
    }
}

impl UpstreamPermits {
    /// So many permits; `None`: no bound.
    pub fn new(limit: Option<usize>) -> Arc<Self> {
        let (all, additional) = counts(limit);
        Arc::new(Self {
            all: Arc::new(Semaphore::new(all)),
            additional: Arc::new(Semaphore::new(additional)),
            limit: Mutex::new(limit),
            waiting: AtomicUsize::new(0),
            upstreams: Mutex::default(),
        })
    }

    /// So many from now on; needs a runtime. Where there are to be fewer, those in use go as they are given back.
    pub fn set_limit(&self, limit: Option<usize>) {
        let mut present = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        let ((all, additional), before) = (counts(limit), counts(*present));
        *present = limit;
        resize(&self.all, before.0, all);
        resize(&self.additional, before.1, additional);
    }

    /// Names one more keeper of connections that may have to make room.
    pub(super) fn register(&self, upstream: Weak<dyn IdleSockets>) {
        let mut upstreams = self.lock();
        upstreams.retain(|held| held.strong_count() > 0);
        upstreams.push(upstream);
    }

    /// Whether a connection that nobody uses must be closed rather than kept.
    pub(super) fn is_contended(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// A permit for a new socket. If there is none, connections that nobody uses are closed; if that is
    /// not enough it waits, first come first served, for `patience`.
    pub(in crate::proxy) async fn socket(
        &self,
        priority: Priority,
        patience: Duration,
    ) -> Result<SocketPermit, UpstreamError> {
        if let Some(permit) = self.try_socket(priority) {
            return Ok(permit);
        }
        let waiting = async {
            let _waiting = Waiting::new(&self.waiting);
            let additional = match priority {
                Priority::First => None,
                Priority::Additional => Some(self.free(&self.additional, true).await),
            };
            let all = self.free(&self.all, false).await;
            (additional, all)
        };
        match tokio::time::timeout(patience, waiting).await {
            Ok((Some(Some(additional)), Some(all))) => Ok(SocketPermit {
                _all: all,
                additional: Some(additional),
            }),
            Ok((None, Some(all))) => Ok(SocketPermit {
                _all: all,
                additional: None,
            }),
            _ => Err(UpstreamError::Overloaded),
        }
    }

    /// Turns the permit of an idle connection into that of an additional request, if one is left.
    pub(super) fn admit_additional(&self, permit: &mut SocketPermit) -> bool {
        if permit.additional.is_none() {
            permit.additional = Arc::clone(&self.additional).try_acquire_owned().ok();
        }
        permit.is_additional()
    }

    fn try_socket(&self, priority: Priority) -> Option<SocketPermit> {
        let additional = match priority {
            Priority::First => None,
            Priority::Additional => Some(Arc::clone(&self.additional).try_acquire_owned().ok()?),
        };
        Some(SocketPermit {
            _all: Arc::clone(&self.all).try_acquire_owned().ok()?,
            additional,
        })
    }

    /// One permit of `semaphore`, of which connections that nobody uses give theirs back.
    async fn free(
        &self,
        semaphore: &Arc<Semaphore>,
        additional: bool,
    ) -> Option<OwnedSemaphorePermit> {
        loop {
            match Arc::clone(semaphore).try_acquire_owned() {
                Ok(permit) => return Some(permit),
                Err(TryAcquireError::NoPermits) if self.evict(additional) => {}
                Err(_) => break,
            }
        }
        Arc::clone(semaphore).acquire_owned().await.ok()
    }

    /// Closes one connection that nobody uses; whether there was one whose permit is free now.
    fn evict(&self, additional: bool) -> bool {
        let upstreams: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        upstreams
            .iter()
            .any(|upstream| upstream.evict_idle(additional))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Weak<dyn IdleSockets>>> {
        self.upstreams
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Permits of everybody, and those of them that additional requests may take.
fn counts(limit: Option<usize>) -> (usize, usize) {
    let limit = limit.map_or(Semaphore::MAX_PERMITS, |limit| {
        limit.clamp(1, Semaphore::MAX_PERMITS)
    });
    (limit, limit - limit.div_ceil(KEPT_FOR_FIRST))
}

fn resize(semaphore: &Arc<Semaphore>, from: usize, to: usize) {
    if to >= from {
        return semaphore.add_permits(to - from);
    }
    let in_use = from - to - semaphore.forget_permits(from - to);
    let semaphore = Arc::clone(semaphore);
    tokio::spawn(async move {
        for _ in 0..in_use {
            match semaphore.acquire().await {
                Ok(permit) => permit.forget(),
                Err(_) => return,
            }
        }
    });
}

/// Counts one who waits, until dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const PATIENCE: Duration = Duration::from_hours(1);

    async fn socket(permits: &UpstreamPermits, priority: Priority) -> Option<SocketPermit> {
        permits.socket(priority, PATIENCE).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn additional_requests_leave_some_to_first_ones() {
        let permits = UpstreamPermits::new(Some(8));
        let mut held = Vec::new();
        for _ in 0..6 {
            held.push(socket(&permits, Priority::Additional).await.unwrap());
        }
        assert!(socket(&permits, Priority::Additional).await.is_none());
        held.push(socket(&permits, Priority::First).await.unwrap());
        let mut last = socket(&permits, Priority::First).await.unwrap();
        assert!(!permits.admit_additional(&mut last));
        assert!(socket(&permits, Priority::First).await.is_none());
        assert!(!permits.is_contended());
        held.clear();
        assert!(permits.admit_additional(&mut last) && last.is_additional());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_gets_what_is_given_back() {
        let permits = UpstreamPermits::new(Some(1));
        let held = socket(&permits, Priority::First).await.unwrap();
        let waiting = tokio::spawn({
            let permits = Arc::clone(&permits);
            async move { socket(&permits, Priority::First).await.is_some() }
        });
        tokio::task::yield_now().await;
        assert!(permits.is_contended());
        drop(held);
        assert!(waiting.await.unwrap());
        assert!(!permits.is_contended());
    }

    #[tokio::test]
    async fn without_a_limit_nobody_waits() {
        let permits = UpstreamPermits::new(None);
        for _ in 0..100 {
            assert!(permits.try_socket(Priority::Additional).is_some());
        }
    }
}
