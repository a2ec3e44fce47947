//! What a connection is busy with.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::sleep;

use super::responses::Untaken;
use crate::listener::Activity;

/// Requests of all connections whose heads are here and whose clients have not got the response yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owing(Arc<AtomicUsize>);

impl Owing {
    pub(crate) fn requests(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// The requests of one connection.
pub(crate) struct Work {
    client: IpAddr,
    activity: Arc<Activity>,
    /// Those that are there as a whole: without one the connection may have to make room.
    open: AtomicUsize,
    untaken: Arc<Untaken>,
    /// All that have begun, and those of them whose response is owed.
    begun: AtomicUsize,
    first: Notify,
    owed: Owing,
    owed_by_all: Owing,
}

impl Work {
    pub(crate) fn new(client: IpAddr, activity: Arc<Activity>, owed_by_all: Owing) -> Self {
        activity.idle(Instant::now());
        Self {
            client,
            activity,
            open: AtomicUsize::new(0),
            untaken: Arc::default(),
            begun: AtomicUsize::new(0),
            first: Notify::new(),
            owed: Owing::default(),
            owed_by_all,
        }
    }

    pub(super) fn client(&self) -> IpAddr {
        self.client
    }

    pub(super) fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Responses that its client has not taken yet.
    pub(super) fn untaken(&self) -> &Arc<Untaken> {
        &self.untaken
    }

    /// A request whose head is here, until dropped.
    pub(super) fn owes(self: &Arc<Self>) -> Owed {
        if self.begun.fetch_add(1, Ordering::Relaxed) == 0 {
            self.first.notify_one();
        }
        for owing in [&self.owed, &self.owed_by_all] {
            owing.0.fetch_add(1, Ordering::Relaxed);
        }
        Owed(Arc::clone(self))
    }

    /// Completes when a request has begun.
    pub(super) async fn begun(&self) {
        if self.begun.load(Ordering::Relaxed) == 0 {
            self.first.notified().await;
        }
    }

    /// Completes when for so long no response was owed, and no request begun.
    pub(super) async fn quiet_for(&self, long: Duration) {
        let begun = || self.begun.load(Ordering::Relaxed);
        loop {
            let (before, owed) = (begun(), self.owed.requests());
            sleep(long).await;
            if owed == 0 && before == begun() {
                return;
            }
        }
    }

    /// One request that is there as a whole, until dropped.
    pub(super) fn request(self: &Arc<Self>) -> OpenRequest {
        if self.open.fetch_add(1, Ordering::Relaxed) == 0 {
            self.activity.begin();
        }
        OpenRequest(Arc::clone(self))
    }
}

pub(super) struct Owed(Arc<Work>);

impl Drop for Owed {
    fn drop(&mut self) {
        for owing in [&self.0.owed, &self.0.owed_by_all] {
            owing.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

pub(super) struct OpenRequest(Arc<Work>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.activity.idle(Instant::now());
        }
    }
}
