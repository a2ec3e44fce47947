//! Why a file of keys cannot be used: which key, what is wrong, and the remedy.

use std::io;

use thiserror::Error;

use crate::redact::Shown;

/// Why a file of keys cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It cannot be read.
    #[error("signature keys {path}: {cause}: make it a readable file with a JWK set")]
    Unreadable {
        /// The file.
        path: Shown,
        /// Why.
        cause: io::Error,
    },
    /// Everybody may write it.
    #[error(
        "signature keys {path} may be written by everybody (mode {mode:04o}), who could let anyone sign: `chmod o-w`"
    )]
    Writable {
        /// The file.
        path: Shown,
        /// Its permissions.
        mode: u32,
    },
    /// It is no JWK set.
    #[error(
        "signature keys {path}: line {line}: not a JWK set: write {{\"keys\": [...]}}, each key with kty, kid and principal"
    )]
    NotASet {
        /// The file.
        path: Shown,
        /// Where reading stopped.
        line: usize,
    },
    /// One key cannot be used.
    #[error("signature keys {path}: key {number} ({kid}): {problem}")]
    Key {
        /// The file.
        path: Shown,
        /// Counted from 1.
        number: usize,
        /// Its `kid`.
        kid: Shown,
        /// What is wrong, and the remedy.
        problem: &'static str,
    },
    /// No principal has every key that is required.
    #[error(
        "signature keys {path}: no principal has a key of each kind that signature.require asks for: nobody could sign a request; add the keys, or require less{left_out}"
    )]
    Nobody {
        /// The file.
        path: Shown,
        /// About keys that do not count.
        left_out: String,
    },
}
