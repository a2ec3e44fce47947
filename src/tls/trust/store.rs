//! The authorities and rules in use, as handshakes read them and the reloader replaces them: one value,
//! so that no handshake meets new authorities with old rules.

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::server::danger::ClientCertVerifier;

use super::error::TrustError;
use super::generation::{Texts, Trust};
use super::settings::Settings;
use super::verifier::Verifier;
use crate::redact::scrub;

/// Whom a listener believes.
pub struct TrustStore {
    settings: Settings,
    current: Arc<ArcSwap<Trust>>,
    /// Why the file cannot be used; empty while it holds what is in use.
    failure: ArcSwapOption<String>,
}

/// What one look at the file found.
#[derive(Debug)]
pub(crate) enum Attempt {
    Unchanged,
    Loaded(Box<Trust>),
    Failed(TrustError),
}

impl TrustStore {
    /// Reads and checks the authorities; without them nobody may in.
    pub fn load(settings: &Settings) -> Result<Self, TrustError> {
        let trust = Trust::from_texts(settings, &Texts::read(settings)?)?;
        Ok(Self {
            settings: settings.clone(),
            current: Arc::new(ArcSwap::from_pointee(trust)),
            failure: ArcSwapOption::empty(),
        })
    }

    /// Stands for files that hold nothing usable yet: nobody is believed until the reloader fills it.
    pub fn waiting(settings: &Settings, error: &TrustError) -> Self {
        let store = Self {
            settings: settings.clone(),
            current: Arc::new(ArcSwap::from_pointee(Trust::nobody(settings))),
            failure: ArcSwapOption::empty(),
        };
        store.record(&error.to_string());
        store
    }

    /// Whether the first authorities are waited for.
    pub fn is_waiting(&self) -> bool {
        self.current.load().is_nobody()
    }

    /// What it was told.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What handshakes are judged by.
    pub fn current(&self) -> Arc<Trust> {
        self.current.load_full()
    }

    /// The failure that stands since the last good look, if any.
    pub fn last_error(&self) -> Option<Arc<String>> {
        self.failure.load_full()
    }

    /// Judges what clients present, by what is in use then.
    pub(crate) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::new(Verifier::new(Arc::clone(&self.current)))
    }

    /// Reads and checks what the file holds. Changes nothing.
    pub(crate) fn attempt(&self) -> Attempt {
        let texts = match Texts::read(&self.settings) {
            Ok(texts) => texts,
            Err(error) => return Attempt::Failed(error),
        };
        if self.current.load().is_of(&self.settings, &texts) {
            return Attempt::Unchanged;
        }
        match Trust::from_texts(&self.settings, &texts) {
            Ok(trust) => Attempt::Loaded(Box::new(trust)),
            Err(error) => Attempt::Failed(error),
        }
    }

    pub(crate) fn publish(&self, trust: Trust) {
        self.current.store(Arc::new(trust));
        self.failure.store(None);
    }

    /// Whether there was a failure to forget.
    pub(crate) fn forget_failure(&self) -> bool {
        self.failure.swap(None).is_some()
    }

    /// Whether this failure stands already.
    pub(crate) fn failed_like(&self, message: &str) -> bool {
        let standing = self.failure.load();
        standing
            .as_ref()
            .is_some_and(|standing| ***standing == *scrub(message))
    }

    pub(crate) fn record(&self, message: &str) {
        let message = scrub(message).into_owned();
        self.failure.store(Some(Arc::new(message)));
    }
}

impl fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustStore")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
