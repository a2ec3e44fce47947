//! The failure that stands since the last good look at a file.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use crate::redact::scrub;

/// Why a file cannot be used; empty while it holds what is in use.
#[derive(Debug, Default)]
pub(super) struct StandingFailure(ArcSwapOption<Reported>);

#[derive(Debug)]
struct Reported {
    message: Arc<String>,
    at: Instant,
}

impl StandingFailure {
    pub(super) fn get(&self) -> Option<Arc<String>> {
        let standing = self.0.load();
        standing
            .as_ref()
            .map(|standing| Arc::clone(&standing.message))
    }

    /// Whether there was one to forget.
    pub(super) fn forget(&self) -> bool {
        self.0.swap(None).is_some()
    }

    /// Whether it is this one.
    pub(super) fn is(&self, message: &str) -> bool {
        let standing = self.0.load();
        standing
            .as_ref()
            .is_some_and(|standing| **standing.message == *scrub(message))
    }

    /// Whether it was reported after that.
    pub(super) fn reported_since(&self, asked: Instant) -> bool {
        let standing = self.0.load();
        standing
            .as_ref()
            .is_some_and(|standing| standing.at >= asked)
    }

    pub(super) fn record(&self, message: &str) {
        let reported = Reported {
            message: Arc::new(scrub(message).into_owned()),
            at: Instant::now(),
        };
        self.0.store(Some(Arc::new(reported)));
    }
}
