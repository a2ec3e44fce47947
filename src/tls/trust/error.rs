//! Why a listener cannot tell which clients to trust: what is wrong, in which file and place, and the remedy.

use crate::redact::Shown;
use crate::tls::cas::CaError;
use crate::tls::credentials::CredentialError;

/// Why CAs for clients cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The file cannot be read.
    #[error("client-ca: {0}")]
    File(Box<CredentialError>),
    /// The file of revocation lists cannot be read.
    #[error("client-crl: {0}")]
    CrlFile(Box<CredentialError>),
    /// The file of revocation lists cannot be used.
    #[error("client-crl: {path}: {cause}")]
    Crl {
        /// The file.
        path: Shown,
        /// What is wrong and where.
        cause: String,
    },
    /// The CAs cannot be used.
    #[error("client-ca: {0}")]
    Ca(#[from] CaError),
    /// The bundle of the own trust domain that an agent sends cannot be read.
    #[error("the bundle of its trust domain `{0}` cannot be read")]
    AgentBundle(String),
    /// A revocation list that an agent sends, or all of them, cannot be used.
    #[error("{0}")]
    AgentList(String),
    /// The library refuses the whole.
    #[error("client-ca: {path} cannot be used: {cause}")]
    Unusable {
        /// The file.
        path: Shown,
        /// What it says.
        cause: String,
    },
}
