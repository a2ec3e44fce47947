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
        Self {
            reason: "internal",
            message: "no certificate has been loaded yet".into(),
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
            error: ReloadError {
                reason: error.reason(),
                message: scrub(&error.to_string()).into_owned(),
                since: unix_seconds(SystemTime::now()),
            },
            digest,
            reported: Instant::now(),
            may_be_half_written: error.may_be_half_written(),
        }
    }

    /// The look at the files was given up.
    pub(super) fn of_silence(cert: &str, patience: Duration) -> Self {
        Self {
            error: ReloadError {
                reason: "timeout",
                message: format!(
                    "certificate file {cert} and its key could not be read within {} s: look at the file system that they are on, or at the token that holds the key",
                    patience.as_secs()
                ),
                since: unix_seconds(SystemTime::now()),
            },
            digest: None,
            reported: Instant::now(),
            may_be_half_written: false,
        }
    }

    /// The look at the files panicked. What the panic said is not repeated: it may hold what was read.
    pub(super) fn of_panic() -> Self {
        Self {
            error: ReloadError {
                reason: "internal",
                message: "the look at the certificate files ended by a fault of this program"
                    .to_owned(),
                since: unix_seconds(SystemTime::now()),
            },
            digest: None,
            reported: Instant::now(),
            may_be_half_written: false,
        }
    }
}
