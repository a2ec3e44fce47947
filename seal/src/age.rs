//! The age file format, version 1 (c2sp.org/age), with its post-quantum recipient `mlkem768x25519` and
//! no other: a text header with the file key wrapped for each recipient, then the payload in chunks.

pub mod bech32;
mod file_key;
pub mod header;
pub mod hpke;
pub mod keys;
mod kind;
pub mod payload;
pub mod stanza;

use thiserror::Error;

pub use self::file_key::FileKey;
pub use self::kind::Resistance;

/// Why a sealed file cannot be opened.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Error {
    /// The header breaks the grammar.
    #[error("the header is not of age version 1: {0}")]
    Header(&'static str),
    /// No identity unwraps the file key.
    #[error("no identity matched: the file is sealed for {recipients}")]
    NoMatch {
        /// The types of the recipients, counted.
        recipients: String,
    },
    /// The header was changed after it was written.
    #[error("the header was changed: its MAC is wrong")]
    HeaderMac,
    /// A chunk was changed.
    #[error("damaged at chunk {chunk}, bytes {from} to {to} of the sealed file")]
    Damaged {
        /// Its number, from 0.
        chunk: u64,
        /// First byte in the sealed file.
        from: u64,
        /// The byte behind its last one.
        to: u64,
    },
    /// The file ends before its last chunk.
    #[error("truncated: the file ends at byte {at}, before its last chunk")]
    Truncated {
        /// Bytes of the file.
        at: u64,
    },
    /// Something follows the last chunk.
    #[error("bytes follow the last chunk, which ends at byte {at}")]
    Trailing {
        /// The byte behind the last chunk.
        at: u64,
    },
    /// The generator of random numbers.
    #[error("the system gave no random bytes")]
    Random,
}
