//! The failure that stands since the last good look at a file.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use super::reload::{ExpiryWarnings, Turn};
use crate::redact::scrub;

/// Why a file cannot be used; empty while it holds what is in use. And who looks, and what was said of it.
#[derive(Debug, Default)]
pub(super) struct StandingFailure {
    standing: ArcSwapOption<Reported>,
    turn: Turn,
    expiry: ExpiryWarnings,
}

#[derive(Debug)]
struct Reported {
    message: Arc<String>,
    at: Instant,
}

impl StandingFailure {
    /// What was said of the end of what is in use.
    pub(super) fn expiry(&self) -> &ExpiryWarnings {
        &self.expiry
    }

    /// The right to look at the file: one look at a time.
    pub(super) fn turn(&self) -> &Turn {
        &self.turn
    }

    pub(super) fn get(&self) -> Option<Arc<String>> {
        let standing = self.standing.load();
        standing
            .as_ref()
            .map(|standing| Arc::clone(&standing.message))
    }

    /// Whether there was one to forget.
    pub(super) fn forget(&self) -> bool {
        self.standing.swap(None).is_some()
    }

    /// Whether it is this one.
    pub(super) fn is(&self, message: &str) -> bool {
        let standing = self.standing.load();
        standing
            .as_ref()
            .is_some_and(|standing| **standing.message == *scrub(message))
    }

    /// Whether it was reported after that.
    pub(super) fn reported_since(&self, asked: Instant) -> bool {
        let standing = self.standing.load();
        standing
            .as_ref()
            .is_some_and(|standing| standing.at >= asked)
    }

    pub(super) fn record(&self, message: &str) {
        let reported = Reported {
            message: Arc::new(scrub(message).into_owned()),
            at: Instant::now(),
        };
        self.standing.store(Some(Arc::new(reported)));
    }
}
