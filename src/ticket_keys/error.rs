//! Why a file of ticket keys was not made or rotated.

use std::io;

use crate::redact::Shown;
use crate::tls::tickets::TicketKeyError;

/// Why it was not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is there.
    #[error(
        "{path} exists: `hybridge ticket-keys rotate` replaces its keys step by step, --force at once"
    )]
    Exists {
        /// The file.
        path: Shown,
    },
    /// It is there, and is something else: a private key beside it would be lost.
    #[error(
        "{path} exists and holds no ticket keys, so it is not replaced: write another file, or remove this one if nobody needs it"
    )]
    Other {
        /// The file.
        path: Shown,
    },
    /// The file system refused.
    #[error("cannot {action} {path}: {cause}")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: Shown,
        /// What it said.
        cause: io::Error,
    },
    /// What the file holds cannot be used.
    #[error(transparent)]
    Keys(#[from] TicketKeyError),
}
