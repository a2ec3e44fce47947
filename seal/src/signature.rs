//! Signed models: the format of OpenSSF model signing 1.0, twice over the same payload. One bundle has an
//! ECDSA signature, which every verifier of that format knows, the other one of ML-DSA.

pub mod both;
pub mod bundle;
pub mod keys;
pub mod manifest;
pub mod model;
pub mod pem;

use thiserror::Error;

use crate::shown::Shown;

/// Below the model's directory: the bundle with the ECDSA signature.
pub const CLASSICAL: &str = "model.sig";
/// Below the model's directory: the bundle with the ML-DSA signature.
pub const POST_QUANTUM: &str = "model.sig.mldsa";

/// Why a signature does not hold. Each says which file and what to do.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Error {
    /// A bundle that breaks its format.
    #[error("no bundle of a model signature: {0}")]
    Bundle(String),
    /// Not by this key, or the payload was changed.
    #[error("the {algorithm} signature is wrong{hint}")]
    Wrong {
        /// ECDSA or ML-DSA.
        algorithm: &'static str,
        /// Whether the bundle names another key.
        hint: &'static str,
    },
    /// The two bundles do not sign the same.
    #[error("the two bundles sign different payloads: sign the model again")]
    PayloadsDiffer,
    /// The signed statement breaks its format.
    #[error("the signed statement is not of model signing 1.0: {0}")]
    Statement(String),
    /// Another model of the same signer.
    #[error(
        "signed as `{signed}`, and --name wants `{wanted}`: another model of this signer, or name it as it was signed"
    )]
    Name {
        /// In the statement.
        signed: Shown,
        /// On the command line.
        wanted: Shown,
    },
    /// The files are not those that were signed.
    #[error("{}", .0.join("; "))]
    Files(Vec<String>),
    /// A key that cannot be used.
    #[error("{0}")]
    Key(String),
}

/// What a reader of JSON says, which repeats names that a stranger may have chosen.
fn said(cause: &serde_json::Error) -> String {
    Shown::text(&cause.to_string()).to_string()
}
