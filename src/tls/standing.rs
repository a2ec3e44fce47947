//! The failure that stands since the last good look at a file.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::redact::scrub;

/// Why a file cannot be used; empty while it holds what is in use.
#[derive(Debug, Default)]
pub(super) struct StandingFailure(ArcSwapOption<String>);

impl StandingFailure {
    pub(super) fn get(&self) -> Option<Arc<String>> {
        self.0.load_full()
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
            .is_some_and(|standing| ***standing == *scrub(message))
    }

    pub(super) fn record(&self, message: &str) {
        let message = scrub(message).into_owned();
        self.0.store(Some(Arc::new(message)));
    }
}
