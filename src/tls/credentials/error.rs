//! Every way a certificate and key can be unusable: what is wrong, in which file and place, and the remedy.

use std::io;

use hybridge_pem::{PemError, Position};

use crate::redact::Shown;
use crate::tls::policy::{Profile, Requirement};

use super::validity::rfc3339;

/// Which of the two files an error speaks of.
#[derive(Clone, Copy, Debug, Eq, PartialEq, strum::Display)]
pub enum Role {
    #[strum(to_string = "certificate file")]
    Certificate,
    #[strum(to_string = "private key file")]
    Key,
    #[strum(to_string = "revocation list")]
    RevocationList,
    #[strum(to_string = "file of ticket keys")]
    TicketKeys,
}

/// Why a certificate and its private key cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    #[error("{role} {path} does not exist")]
    Missing { role: Role, path: Shown },

    #[error("{role} {path} cannot be read: {cause}")]
    Unreadable {
        role: Role,
        path: Shown,
        cause: io::Error,
    },

    #[error("{role} {path} is empty")]
    Empty { role: Role, path: Shown },

    #[error("{role} {path} is larger than {limit} bytes: is it the right file?")]
    TooLarge { role: Role, path: Shown, limit: u64 },

    #[error(
        "private key file {path} may be written by everybody (mode {mode:04o}), who could replace it: `chmod 600`, or 640 for a group"
    )]
    Writable { path: Shown, mode: u32 },

    #[error(
        "{role} {path} may be written by everybody (mode {mode:04o}), who could say whom this trusts: `chmod o-w`"
    )]
    WritableTrust { role: Role, path: Shown, mode: u32 },

    #[error("{role} {path} is not PEM: there is no `-----BEGIN …-----` line in it")]
    NotPem { role: Role, path: Shown },

    #[error("{role} {path}: {cause}")]
    Pem {
        role: Role,
        path: Shown,
        cause: PemError,
    },

    #[error(
        "certificate file {path} holds a private key and no certificate: are the certificate and key paths swapped?"
    )]
    KeyInCertificateFile { path: Shown },

    #[error(
        "private key file {path} holds a certificate and no private key: are the certificate and key paths swapped?"
    )]
    CertificateInKeyFile { path: Shown },

    #[error("{role} {path} holds no {wanted}, only {found}", wanted = wanted(*role))]
    WrongBlocks {
        role: Role,
        path: Shown,
        /// Labels of the blocks that are there, comma separated.
        found: String,
    },

    #[error("certificate file {path}: {at} is not a well-formed X.509 certificate: {cause}")]
    Certificate {
        path: Shown,
        at: Position,
        cause: String,
    },

    #[error(
        "certificate file {path} holds {count} certificates, more than the {limit} a chain may have"
    )]
    ChainTooLong {
        path: Shown,
        count: usize,
        limit: usize,
    },

    #[error(
        "certificate file {path}: {at} was issued by \"{issuer}\", but the next certificate, {next}, is \"{found}\": put the server's certificate first and after each certificate its issuer"
    )]
    Chain {
        path: Shown,
        at: Position,
        issuer: String,
        next: Position,
        found: String,
    },

    #[error("certificate file {path}: {at}, \"{subject}\", expired on {}; now is {}: renew it", rfc3339(*not_after), rfc3339(*now))]
    Expired {
        path: Shown,
        at: Position,
        subject: String,
        not_after: i64,
        now: i64,
    },

    #[error("certificate file {path}: {at}, \"{subject}\", is not valid before {}; now is {}: check the clock, or wait", rfc3339(*not_before), rfc3339(*now))]
    NotYetValid {
        path: Shown,
        at: Position,
        subject: String,
        not_before: i64,
        now: i64,
    },

    #[error("{role} {path}: {at} is {what}: {remedy}")]
    Unsupported {
        role: Role,
        path: Shown,
        at: Position,
        what: String,
        remedy: &'static str,
    },

    #[error(
        "private key file {path}: {at} is encrypted with a passphrase and there is nobody to ask for it: store it unencrypted (`openssl pkey -in FILE -out tls.key`, mode 0600)"
    )]
    EncryptedKey { path: Shown, at: Position },

    #[error(
        "private key file {path} holds {count} private keys (lines {lines}): keep the one that belongs to the certificate"
    )]
    SeveralKeys {
        path: Shown,
        count: usize,
        /// Line of each key's first line, comma separated.
        lines: String,
    },

    #[error("private key file {path}: {at} is not a well-formed {algorithm} private key")]
    Key {
        path: Shown,
        at: Position,
        algorithm: &'static str,
    },

    #[error(
        "private key file {key} does not belong to certificate file {cert}: the key is not that of \"{subject}\""
    )]
    Mismatch {
        cert: Shown,
        key: Shown,
        subject: String,
    },

    #[error("the private key cannot be used: {cause}")]
    Token {
        /// What it is called, and what the token said.
        cause: String,
    },

    #[error("the identity from {path} cannot be used: {problem}")]
    Workload {
        /// The agent.
        path: Shown,
        problem: String,
    },

    #[error(
        "certificate file {path} uses {found}, but profile `{name}` asks for {wanted} ({rule}: {source_of_rule}): use such a certificate, or change the profile",
        name = profile.name(), wanted = rule.wanted(*profile), rule = rule.id(), source_of_rule = rule.source()
    )]
    Profile {
        path: Shown,
        /// The algorithm.
        found: String,
        profile: Profile,
        rule: Requirement,
    },

    #[error(
        "certificate file {cert} with private key file {key} failed a trial handshake: {cause}"
    )]
    Refused {
        cert: Shown,
        key: Shown,
        cause: rustls::Error,
    },
}

fn wanted(role: Role) -> &'static str {
    match role {
        Role::Certificate => "CERTIFICATE block",
        Role::Key => "private key this build can use",
        Role::RevocationList => "X509 CRL block",
        Role::TicketKeys => "ticket key",
    }
}

impl CredentialError {
    /// Of a token, in its own words.
    pub(super) fn token(cause: &impl ToString) -> Self {
        Self::Token {
            cause: cause.to_string(),
        }
    }

    /// One word of a closed set, for logs and the status page.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Unreadable { .. } => "unreadable",
            Self::Empty { .. } => "empty",
            Self::TooLarge { .. } => "too_large",
            Self::Writable { .. } | Self::WritableTrust { .. } => "permissions",
            Self::NotPem { .. }
            | Self::Pem { .. }
            | Self::WrongBlocks { .. }
            | Self::Certificate { .. }
            | Self::SeveralKeys { .. }
            | Self::Key { .. } => "malformed",
            Self::KeyInCertificateFile { .. } | Self::CertificateInKeyFile { .. } => "swapped",
            Self::Chain { .. } | Self::ChainTooLong { .. } => "chain",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::Unsupported { .. } | Self::EncryptedKey { .. } => "unsupported",
            Self::Mismatch { .. } => "mismatch",
            Self::Profile { .. } => "profile",
            Self::Token { .. } => "token",
            Self::Workload { .. } => "spiffe",
            Self::Refused { .. } => "refused",
        }
    }

    /// What of the message is the same whenever the same files are read: without the time of the reading.
    pub(in crate::tls) fn lasting(&self) -> String {
        match self {
            Self::Expired {
                path,
                at,
                subject,
                not_after: date,
                ..
            }
            | Self::NotYetValid {
                path,
                at,
                subject,
                not_before: date,
                ..
            } => format!("{}: {path}, {at}, {subject}, {date}", self.reason()),
            other => other.to_string(),
        }
    }

    /// Whether a writer that is halfway through replacing the files could cause this.
    pub(crate) fn may_be_half_written(&self) -> bool {
        matches!(
            self.reason(),
            "missing" | "unreadable" | "empty" | "malformed" | "swapped" | "chain" | "mismatch"
        )
    }
}
