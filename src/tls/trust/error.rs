//! Why a file of CAs cannot be used: what is wrong, in which file and place, and the remedy.

use crate::redact::Shown;
use crate::tls::credentials::CredentialError;
use crate::tls::pem::{PemError, Position};
use crate::tls::policy::{Profile, Requirement};

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
    /// Not PEM.
    #[error("client-ca: {path}: {cause}")]
    Pem {
        /// The file.
        path: Shown,
        /// What is wrong.
        cause: PemError,
    },
    /// No certificate in it.
    #[error(
        "client-ca: {path} holds no certificate: write the PEM certificates of the CAs that certify clients"
    )]
    Empty {
        /// The file.
        path: Shown,
    },
    /// A private key in a file that anybody may read.
    #[error("client-ca: {path}: {at} is a private key: write only the certificates of the CAs")]
    PrivateKey {
        /// The file.
        path: Shown,
        /// Which block.
        at: Position,
    },
    /// A block that is no certificate.
    #[error("client-ca: {path}: {at} is no certificate that can be read: {cause}")]
    Certificate {
        /// The file.
        path: Shown,
        /// Which block.
        at: Position,
        /// What is wrong.
        cause: String,
    },
    /// A leaf: the holder of its key could certify anybody.
    #[error(
        "client-ca: {path}: {at}, `{subject}`, is not a CA (basicConstraints): write the CA that issued it, and let it in by a rule"
    )]
    NotACa {
        /// The file.
        path: Shown,
        /// Which block.
        at: Position,
        /// Its subject.
        subject: String,
    },
    /// Every client below it would be refused.
    #[error(
        "client-ca: {path}: {at}, `{subject}`, has a name constraint on URIs ({constraint}), which cannot be verified: every client below it would be refused; use a CA without it and fence by allow-uri"
    )]
    UriConstraint {
        /// The file.
        path: Shown,
        /// Which block.
        at: Position,
        /// Its subject.
        subject: String,
        /// The constraint.
        constraint: String,
    },
    /// A key of a kind that the profile of the listener has not.
    #[error(
        "client-ca: {path}: {at}, `{subject}`, has a key of {key}, but profile `{name}` asks for {wanted} ({rule}): remove it, or change the profile",
        name = profile.name(), rule = Requirement::ClientCertificates.id(), wanted = Requirement::ClientCertificates.wanted(*profile)
    )]
    Profile {
        /// The file.
        path: Shown,
        /// Which block.
        at: Position,
        /// Its subject.
        subject: String,
        /// The algorithm of its key.
        key: String,
        /// What the listener is held to.
        profile: Profile,
    },
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
