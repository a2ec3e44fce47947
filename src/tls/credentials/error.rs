//! Every way a certificate and key can be unusable: what is wrong, in which file and place, and the remedy.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::tls::pem::{PemError, Position};

use super::validity::rfc3339;

/// Which of the two files an error speaks of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    Certificate,
    Key,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate file",
            Self::Key => "private key file",
        })
    }
}

/// Why a certificate and its private key cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    #[error("{role} {} does not exist", path.display())]
    Missing { role: Role, path: PathBuf },

    #[error("{role} {} cannot be read: {cause}", path.display())]
    Unreadable {
        role: Role,
        path: PathBuf,
        cause: io::Error,
    },

    #[error("{role} {} is empty", path.display())]
    Empty { role: Role, path: PathBuf },

    #[error("{role} {} is larger than {limit} bytes: is it the right file?", path.display())]
    TooLarge {
        role: Role,
        path: PathBuf,
        limit: u64,
    },

    #[error("{role} {} is not PEM: {found}", path.display())]
    NotPem {
        role: Role,
        path: PathBuf,
        found: NotPem,
    },

    #[error("{role} {}: {cause}", path.display())]
    Pem {
        role: Role,
        path: PathBuf,
        cause: PemError,
    },

    #[error("certificate file {} holds a private key and no certificate: are the certificate and key paths swapped?", path.display())]
    KeyInCertificateFile { path: PathBuf },

    #[error("private key file {} holds a certificate and no private key: are the certificate and key paths swapped?", path.display())]
    CertificateInKeyFile { path: PathBuf },

    #[error("{role} {} holds no {wanted}, only {found}", path.display(), wanted = wanted(*role))]
    WrongBlocks {
        role: Role,
        path: PathBuf,
        /// Labels of the blocks that are there, comma separated.
        found: String,
    },

    #[error("certificate file {}: {at} is not a well-formed X.509 certificate: {cause}", path.display())]
    Certificate {
        path: PathBuf,
        at: Position,
        cause: String,
    },

    #[error("certificate file {} holds {count} certificates, more than the {limit} a chain may have", path.display())]
    ChainTooLong {
        path: PathBuf,
        count: usize,
        limit: usize,
    },

    #[error("certificate file {}: {at} was issued by \"{issuer}\", but the next certificate, {next}, is \"{found}\": put the server's certificate first and after each certificate its issuer", path.display())]
    Chain {
        path: PathBuf,
        at: Position,
        issuer: String,
        next: Position,
        found: String,
    },

    #[error("certificate file {}: {at}, \"{subject}\", expired on {}; now is {}: renew it", path.display(), rfc3339(*not_after), rfc3339(*now))]
    Expired {
        path: PathBuf,
        at: Position,
        subject: String,
        not_after: i64,
        now: i64,
    },

    #[error("certificate file {}: {at}, \"{subject}\", is not valid before {}; now is {}: check the clock, or wait", path.display(), rfc3339(*not_before), rfc3339(*now))]
    NotYetValid {
        path: PathBuf,
        at: Position,
        subject: String,
        not_before: i64,
        now: i64,
    },

    #[error("{role} {}: {at} is {what}: {remedy}", path.display())]
    Unsupported {
        role: Role,
        path: PathBuf,
        at: Position,
        what: String,
        remedy: &'static str,
    },

    #[error("private key file {}: {at} is encrypted with a passphrase and there is nobody to ask for it: store it unencrypted (`openssl pkey -in FILE -out tls.key`, mode 0600)", path.display())]
    EncryptedKey { path: PathBuf, at: Position },

    #[error("private key file {} holds {count} private keys (lines {lines}): keep the one that belongs to the certificate", path.display())]
    SeveralKeys {
        path: PathBuf,
        count: usize,
        /// Line of each key's first line, comma separated.
        lines: String,
    },

    #[error("private key file {}: {at} is not a well-formed {algorithm} private key", path.display())]
    Key {
        path: PathBuf,
        at: Position,
        algorithm: &'static str,
    },

    #[error("private key file {} does not belong to certificate file {}: the key is not that of \"{subject}\"", key.display(), cert.display())]
    Mismatch {
        cert: PathBuf,
        key: PathBuf,
        subject: String,
    },

    #[error("certificate file {} with private key file {} failed a trial handshake: {cause}", cert.display(), key.display())]
    Refused {
        cert: PathBuf,
        key: PathBuf,
        cause: rustls::Error,
    },
}

fn wanted(role: Role) -> &'static str {
    match role {
        Role::Certificate => "CERTIFICATE block",
        Role::Key => "private key this build can use",
    }
}

/// What a file without a single PEM block seems to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotPem {
    /// Starts like a DER structure.
    Der,
    /// Anything else.
    Other,
}

impl fmt::Display for NotPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Der => {
                "it looks like binary DER or PKCS#12, convert it to PEM with `openssl x509`, `pkey` or `pkcs12`"
            }
            Self::Other => "there is no `-----BEGIN …-----` line in it",
        })
    }
}

impl CredentialError {
    /// One word of a closed set, for logs and the status page.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Unreadable { .. } => "unreadable",
            Self::Empty { .. } => "empty",
            Self::TooLarge { .. } => "too_large",
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
            Self::Refused { .. } => "refused",
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
