//! Sealed and signed artifacts: files in the age format with post-quantum recipients, models in the
//! OpenSSF model-signing format with two signatures, ECDSA and ML-DSA, of which both must hold.
//!
//! Linked by the commands of the command line only, never by what serves traffic. No network, but for
//! the identity that a confidential pod fetches from its own loopback address.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod age;
pub mod args;
pub mod commands;
pub mod digest;
pub mod error;
pub mod flow;
pub mod identity;
pub mod memory;
pub mod permissions;
pub mod progress;
pub mod regular;
pub mod run;
pub mod sealed;
mod secret;
pub mod shown;
pub mod signature;
pub mod source;
pub mod staging;
pub mod tree;

pub use error::Error;
