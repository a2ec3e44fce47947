//! Why a file of ticket keys cannot be used: which file, which line, and the remedy. Never what it says.

use crate::redact::Shown;
use crate::tls::credentials::CredentialError;

/// Why ticket keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TicketKeyError {
    /// The file cannot be read.
    #[error("ticket-keys: {0}")]
    File(Box<CredentialError>),
    /// Anybody could plant a key.
    #[error(
        "ticket-keys: {path} may be written by everybody (mode {mode:04o}), who could plant a key: chmod 600"
    )]
    Writable {
        /// The file.
        path: Shown,
        /// Its permissions.
        mode: u32,
    },
    /// A line that is not understood.
    #[error("ticket-keys: {path}: line {line} {problem}")]
    Line {
        /// The file.
        path: Shown,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// The lines do not make a set of keys.
    #[error("ticket-keys: {path} {problem}")]
    Keys {
        /// The file.
        path: Shown,
        /// What is wrong with them.
        problem: &'static str,
    },
    /// There are no random numbers.
    #[error("ticket-keys: a key cannot be made: no random numbers")]
    NoRandom,
}
