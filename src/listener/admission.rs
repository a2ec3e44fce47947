//! Which connections a listener holds: at most so many, and when it is full the newcomer is served and
//! an idle connection goes. The one that goes is the oldest idle or half-open one of the network (/24
//! of IPv4, /64 of IPv6) that has the most of them; a connection with work under way never goes.
//!
//! The rule is that of `fairness`, by the same sources, but not its set: a connection becomes busy and
//! idle with each request, so here that costs one atomic word, and the order is worked out only when
//! room is needed. A handshake waits once, so there the order is kept at all times.

mod activity;
mod candidates;
mod wanted;

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slab::Slab;

pub use self::activity::Activity;
pub(super) use self::activity::SHED_REASONS;
use self::candidates::Candidates;
use self::wanted::Wanted;
use crate::metrics::ListenerSockets;

/// Connections that were told to close and have not closed yet, at most: they do not count as open.
const MAX_CLOSING: usize = 64;

/// The permits of one class of connections.
pub struct Admission {
    state: Mutex<State>,
    /// A newcomer waits for a permit.
    wanted: Arc<Wanted>,
    metrics: ListenerSockets,
}

#[derive(Default)]
struct State {
    limit: usize,
    open: Slab<Arc<Activity>>,
    candidates: Candidates,
    closing: usize,
}

/// A connection's permit; its end is the connection's end.
pub struct Permit {
    admission: Arc<Admission>,
    activity: Arc<Activity>,
    key: usize,
}

impl Permit {
    /// What the connection is doing, which decides whether it may be told to close.
    pub fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        let is_ours = |held: &Arc<Activity>| Arc::ptr_eq(held, &self.activity);
        if state.open.get(self.key).is_some_and(is_ours) {
            state.open.remove(self.key);
        } else {
            state.closing = state.closing.saturating_sub(1);
        }
        drop(state);
        self.admission.wanted.tell();
    }
}

impl Admission {
    /// At most `limit` connections; those that are told to close are counted in `metrics`.
    pub fn new(limit: usize, metrics: ListenerSockets) -> Arc<Self> {
        let state = State {
            limit,
            ..State::default()
        };
        Arc::new(Self {
            state: Mutex::new(state),
            wanted: Arc::default(),
            metrics,
        })
    }

    /// Holds so many from now on. Of those above a lower limit, idle ones are told to close as others come.
    pub fn set_limit(&self, limit: usize) {
        self.state().limit = limit;
        self.wanted.tell();
    }

    /// Waits for a permit: one that is free, or that of a connection which is told to close. Only
    /// one task may wait.
    pub(super) async fn enter(self: &Arc<Self>, client: IpAddr) -> Permit {
        let activity = Arc::new(Activity::new(client, Arc::clone(&self.wanted)));
        loop {
            if let Some(permit) = self.permit(&activity) {
                return permit;
            }
            // Looked at once more after it is known that we wait: nothing is missed in between.
            self.wanted.waiting.store(true, Ordering::SeqCst);
            let permit = self.permit(&activity);
            if permit.is_none() {
                self.wanted.changed.notified().await;
            }
            self.wanted.waiting.store(false, Ordering::SeqCst);
            if let Some(permit) = permit {
                return permit;
            }
        }
    }

    /// A permit if one is free or can be made free at once.
    pub fn try_enter(self: &Arc<Self>, client: IpAddr) -> Option<Permit> {
        let activity = Activity::new(client, Arc::clone(&self.wanted));
        self.permit(&Arc::new(activity))
    }

    /// A permit if one is free: nobody is told to go for it.
    pub fn try_enter_free(self: &Arc<Self>, client: IpAddr) -> Option<Permit> {
        let activity = Arc::new(Activity::new(client, Arc::clone(&self.wanted)));
        let state = self.state();
        let free = state.open.len() < state.limit;
        free.then(|| self.insert(state, &activity))
    }

    fn permit(self: &Arc<Self>, activity: &Arc<Activity>) -> Option<Permit> {
        let mut state = self.state();
        while state.open.len() >= state.limit {
            if !self.make_room(&mut state) {
                return None;
            }
        }
        Some(self.insert(state, activity))
    }

    fn insert(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        activity: &Arc<Activity>,
    ) -> Permit {
        let key = state.open.insert(Arc::clone(activity));
        Permit {
            admission: Arc::clone(self),
            activity: Arc::clone(activity),
            key,
        }
    }

    /// Tells one connection to close, if there is one that may be told.
    pub(super) fn shed_one(&self) {
        self.make_room(&mut self.state());
    }

    fn make_room(&self, state: &mut State) -> bool {
        if state.closing >= MAX_CLOSING {
            return false;
        }
        let State {
            open,
            candidates,
            limit,
            ..
        } = state;
        let Some((key, shed)) = candidates.next(open, *limit) else {
            return false;
        };
        open.remove(key);
        state.closing += 1;
        self.metrics.shed(shed.reason());
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
