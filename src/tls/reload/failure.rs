//! What one look at certificate files found, and why it brought nothing usable.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::time::Instant;

use crate::redact::scrub;
use crate::tls::credentials::{CredentialError, Credentials, PairDigest, unix_seconds};

/// Why the last look at the files brought nothing usable.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ReloadError {
    /// [`CredentialError::reason`], `timeout` or `internal`.
    pub reason: &'static str,
    pub message: String,
    /// When this failure was first seen, unix seconds.
    pub since: i64,
}

impl ReloadError {
    pub(super) fn not_yet() -> Self {
        Self::now("internal", "no certificate has been loaded yet".into())
    }

    /// Whether only the dates are against it, which the clock may end by itself.
    pub(crate) fn is_of_time(&self) -> bool {
        matches!(self.reason, "not_yet_valid" | "expired")
    }

    fn now(reason: &'static str, message: String) -> Self {
        Self {
            reason,
            message,
            since: unix_seconds(SystemTime::now()),
        }
    }
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What one look at the files found.
pub(super) enum Attempt {
    Unchanged,
    Loaded(Box<Credentials>),
    Failed(Failure),
}

/// A look that brought nothing usable.
pub(super) struct Failure {
    pub(super) error: ReloadError,
    /// Of what could be read; `None` if not both files could.
    pub(super) digest: Option<PairDigest>,
    /// When it was found last by who reports it.
    pub(super) reported: Instant,
    pub(super) may_be_half_written: bool,
}

impl Failure {
    pub(super) fn new(error: &CredentialError, digest: Option<PairDigest>) -> Self {
        Self {
            digest,
            may_be_half_written: error.may_be_half_written(),
            ..Self::without_files(error.reason(), scrub(&error.to_string()).into_owned())
        }
    }

    /// The look at the files was given up.
    pub(super) fn of_silence(cert: &str, patience: Duration) -> Self {
        let message = format!(
            "certificate file {cert} and its key could not be read within {} s: look at the file system that they are on, or at the token that holds the key",
            patience.as_secs()
        );
        Self::without_files("timeout", message)
    }

    /// The look at the files panicked. What the panic said is not repeated: it may hold what was read.
    pub(super) fn of_panic() -> Self {
        let message = "the look at the certificate files ended by a fault of this program";
        Self::without_files("internal", message.to_owned())
    }

    fn without_files(reason: &'static str, message: String) -> Self {
        Self {
            error: ReloadError::now(reason, message),
            digest: None,
            reported: Instant::now(),
            may_be_half_written: false,
        }
    }
}
