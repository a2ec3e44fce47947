//! One certificate and key file and the pair in use: what connections read, and what the
//! reloader writes. Holds state only; when to look at the files is the reloader's business.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::Serialize;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::expiry::ExpiryWarnings;
use super::failure::{Attempt, Failure, ReloadError};
use super::in_use::{InUse, Turned};
use super::turn::Turn;
use crate::redact::{Shown, scrub};
use crate::tls::credentials::{
    CredentialError, Credentials, PairText, TokenKey, directory_of, is_token, unix_seconds,
    volume_root,
};
use crate::tls::policy::Profile;

/// Whether what a store serves is fit to be served.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Health {
    Good,
    /// The pair in use is valid, but the files hold something unusable.
    Stale(ReloadError),
    /// There has been no usable pair yet: every handshake is refused.
    Missing(ReloadError),
    /// The certificate in use has expired: clients refuse it.
    Expired {
        /// Unix seconds.
        not_after: i64,
    },
    /// The key lies in a token that does not sign: handshakes fail until it does.
    Unsigned {
        /// What the token said.
        message: String,
    },
}

/// The pair in use for one certificate and key file.
pub struct CredentialStore {
    cert: PathBuf,
    key: PathBuf,
    profile: Profile,
    current: InUse,
    /// What the files hold instead of a usable pair; empty while they hold the pair in use.
    failure: ArcSwapOption<Failure>,
    turn: Turn,
    expiry: ExpiryWarnings,
}

impl CredentialStore {
    /// Loads the first pair; without one there is nothing to serve.
    pub fn load(cert: &Path, key: &Path) -> Result<Self, CredentialError> {
        let loaded = Credentials::load(cert, key)?;
        Ok(Self {
            current: InUse::new(Some(loaded)),
            ..Self::empty(cert, key)
        })
    }

    /// The same, held to a profile from now on: a pair that does not keep to it is none that can be used.
    pub fn held_to(mut self, profile: Profile) -> Result<Self, CredentialError> {
        if let Some(current) = self.current() {
            current.keep_to(profile, &self.cert)?;
        }
        self.profile = profile;
        Ok(self)
    }

    /// Stands for files that hold nothing usable yet: the reloader fills it as soon as they do.
    pub fn waiting(cert: &Path, key: &Path, error: &CredentialError) -> Self {
        let store = Self::empty(cert, key);
        store.record(Failure::new(error, None));
        store
    }

    /// Stands for an agent; `source` is what messages call it. It begins with what the same agent gave
    /// `before`, held to a profile.
    pub fn given(
        source: &Path,
        profile: Profile,
        before: Option<&Self>,
    ) -> Result<Self, CredentialError> {
        let store = Self::empty(source, source);
        if let Some(before) = before {
            store.current.go_on_with(&before.current);
            store.failure.store(before.failure.load_full());
        }
        store.held_to(profile)
    }

    fn empty(cert: &Path, key: &Path) -> Self {
        Self {
            cert: cert.to_owned(),
            key: key.to_owned(),
            profile: Profile::Off,
            current: InUse::new(None),
            failure: ArcSwapOption::empty(),
            turn: Turn::default(),
            expiry: ExpiryWarnings::default(),
        }
    }

    pub fn cert_path(&self) -> &Path {
        &self.cert
    }

    /// The certificate file as messages and pages call it.
    pub fn cert_name(&self) -> String {
        Shown::path(&self.cert).to_string()
    }

    /// Whether the key lies in a token, which signs in its own time.
    pub fn is_in_token(&self) -> bool {
        is_token(&self.key)
    }

    pub fn key_path(&self) -> &Path {
        &self.key
    }

    /// The pair that new connections get; none while the first is waited for.
    pub fn current(&self) -> Option<Arc<Credentials>> {
        self.current.get()
    }

    /// The failure that stands since the last good load, if any.
    pub fn last_error(&self) -> Option<ReloadError> {
        self.failure
            .load()
            .as_ref()
            .map(|failure| failure.error.clone())
    }

    /// As of `now`. An expired certificate outweighs a failed reload.
    pub fn health(&self, now: SystemTime) -> Health {
        let Some(current) = self.current() else {
            if let Some(ended) = self.current.ended() {
                let not_after = ended.facts().not_after;
                return Health::Expired { not_after };
            }
            return Health::Missing(self.last_error().unwrap_or_else(ReloadError::not_yet));
        };
        let not_after = current.facts().not_after;
        if unix_seconds(now) > not_after {
            return Health::Expired { not_after };
        }
        if let Some(message) = current.token().and_then(TokenKey::failure) {
            return Health::Unsigned { message };
        }
        self.last_error().map_or(Health::Good, Health::Stale)
    }

    /// One look at a time.
    pub(super) fn turn(&self) -> &Turn {
        &self.turn
    }

    /// Says once a day that the pair in use ends soon, or has ended.
    pub(in crate::tls) fn warn_of_expiry(&self) {
        let current = self.current();
        let validity = current.map(|pair| (pair.facts().not_before, pair.facts().not_after));
        let now = unix_seconds(SystemTime::now());
        let due = validity.and_then(|validity| self.expiry.due(validity, now));
        let Some(warning) = due else { return };
        let (cert, not_after) = (self.cert_name(), warning.not_after());
        if let Some(hours_left) = warning.hours_left() {
            warn!(%cert, %not_after, hours_left, "certificate expires soon");
        } else {
            error!(%cert, %not_after, "certificate has expired: clients refuse it");
        }
    }

    /// Directories in which a replacement of the files shows.
    pub(super) fn directories(&self) -> Vec<PathBuf> {
        let files = [&self.cert, &self.key].into_iter();
        let files = files.filter(|file| !is_token(file));
        let directories = files.map(|file| directory_of(file).to_owned());
        let root = volume_root(&self.cert, &self.key);
        directories.chain(root).collect()
    }

    /// Reads and checks what the files hold. Changes nothing.
    pub(super) fn attempt(&self) -> Attempt {
        let text = match PairText::read(&self.cert, &self.key) {
            Ok(text) => text,
            Err(error) => return Attempt::Failed(Failure::new(&error, None)),
        };
        let digest = text.digest();
        let current = self.current();
        if let Some(current) = current.filter(|current| digest == *current.digest()) {
            // Without traffic, which a listener that is not ready has none of, nobody else would try.
            if current.token().is_some_and(TokenKey::try_again) {
                info!(cert = %self.cert_name(), "the token of the key signs again");
            }
            return Attempt::Unchanged;
        }
        let loaded = Credentials::from_text(&self.cert, &self.key, &text, SystemTime::now());
        let kept = loaded.and_then(|loaded| {
            loaded.keep_to(self.profile, &self.cert)?;
            Ok(loaded)
        });
        match kept {
            Ok(credentials) => Attempt::Loaded(Box::new(credentials)),
            Err(error) => Attempt::Failed(Failure::new(&error, Some(digest))),
        }
    }

    /// Keeps a failure of another source than files beside what is in use.
    pub(in crate::tls) fn fail(&self, reason: &'static str, message: &str) -> ReloadError {
        self.record(Failure {
            error: ReloadError {
                reason,
                message: scrub(message).into_owned(),
                since: unix_seconds(SystemTime::now()),
            },
            digest: None,
            reported: Instant::now(),
            may_be_half_written: false,
        })
    }

    /// Takes an agent's pair out of use that has ended, and puts one back that has not.
    pub(in crate::tls) fn turn_by_clock(&self, now: i64) -> Option<Turned> {
        self.current.turn(now)
    }

    pub(in crate::tls) fn publish(&self, credentials: Credentials) {
        self.current.set(credentials);
        self.failure.store(None);
    }

    /// Whether there was a failure to forget.
    pub(in crate::tls) fn forget_failure(&self) -> bool {
        self.failure.swap(None).is_some()
    }

    /// Whether `failure` is the one that stands: the same reason with the same content. Where not both files could
    /// be read, the message says which could not.
    pub(super) fn failed_like(&self, failure: &Failure) -> bool {
        let standing = self.failure.load();
        standing.as_ref().is_some_and(|standing| {
            let (before, now) = (&standing.error, &failure.error);
            standing.digest == failure.digest
                && before.reason == now.reason
                && (failure.digest.is_some() || before.message == now.message)
        })
    }

    /// Whether the failure that stands was reported after that.
    pub(super) fn reported_since(&self, asked: Instant) -> bool {
        let standing = self.failure.load();
        standing
            .as_ref()
            .is_some_and(|standing| standing.reported >= asked)
    }

    /// Makes `failure` the one that stands; a repeated one keeps its first date.
    pub(super) fn record(&self, mut failure: Failure) -> ReloadError {
        if self.failed_like(&failure)
            && let Some(standing) = self.last_error()
        {
            failure.error.since = standing.since;
        }
        failure.reported = Instant::now();
        let error = failure.error.clone();
        self.failure.store(Some(Arc::new(failure)));
        error
    }
}

impl fmt::Debug for CredentialStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialStore")
            .field("cert", &self.cert)
            .field("key", &self.key)
            .field("current", &self.current.load())
            .field("last_error", &self.last_error())
            .finish_non_exhaustive()
    }
}

impl ResolvesServerCert for CredentialStore {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current
            .load()
            .as_ref()
            .map(|current| current.certified_key())
    }
}
