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
    /// See [`Unusable`].
    lasting: String,
    at: Instant,
}

/// Why what was read cannot be used.
#[derive(Debug)]
pub(super) struct Unusable {
    pub(super) message: String,
    /// What of it is the same at each look at the same file; the message may say what the time is.
    pub(super) lasting: String,
}

impl From<String> for Unusable {
    fn from(message: String) -> Self {
        Self {
            lasting: message.clone(),
            message,
        }
    }
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
    pub(super) fn is(&self, failure: &Unusable) -> bool {
        let standing = self.standing.load();
        standing
            .as_ref()
            .is_some_and(|standing| standing.lasting == *scrub(&failure.lasting))
    }

    /// Whether it was reported after that.
    pub(super) fn reported_since(&self, asked: Instant) -> bool {
        let standing = self.standing.load();
        standing
            .as_ref()
            .is_some_and(|standing| standing.at >= asked)
    }

    pub(super) fn record(&self, failure: &Unusable) {
        let reported = Reported {
            message: Arc::new(scrub(&failure.message).into_owned()),
            lasting: scrub(&failure.lasting).into_owned(),
            at: Instant::now(),
        };
        self.standing.store(Some(Arc::new(reported)));
    }
}
