//! What a connection is busy with.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::responses::Untaken;
use crate::listener::Activity;

/// The requests of one connection that are there as a whole: without one it may have to make room.
pub(crate) struct Work {
    client: IpAddr,
    activity: Arc<Activity>,
    open: AtomicUsize,
    untaken: Arc<Untaken>,
}

impl Work {
    pub(crate) fn new(client: IpAddr, activity: Arc<Activity>) -> Self {
        activity.idle(Instant::now());
        Self {
            client,
            activity,
            open: AtomicUsize::new(0),
            untaken: Arc::default(),
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

    /// One request, until dropped.
    pub(super) fn request(self: &Arc<Self>) -> OpenRequest {
        if self.open.fetch_add(1, Ordering::Relaxed) == 0 {
            self.activity.begin();
        }
        OpenRequest(Arc::clone(self))
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
