//! Why no certificates were made.

use std::path::PathBuf;

use super::request::MAX_DAYS;
use super::shell::shell_word;
use crate::counted::counted;
use crate::tls::credentials::{CredentialError, rfc3339};

/// Why no certificates were made. Nothing has been written then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertgenError {
    #[error("{} exists already: pass --force to replace it, or choose another --dir", path.display())]
    Exists { path: PathBuf },

    #[error("{} exists already: --reuse-ca --force makes a new server certificate from the CA there, --force also a new CA that clients must be given; or choose another --dir", path.display())]
    CaExists { path: PathBuf },

    #[error("cannot {action} {}: {cause}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        cause: std::io::Error,
    },

    #[error(
        "{} is no life for a certificate: choose 1 to {MAX_DAYS}",
        counted(days, "day")
    )]
    Days { days: u32 },

    #[error("there is no CA in {} to issue a client's certificate: make one first, with `hybridge certs --dir {}`", dir.display(), shell_word(dir))]
    NoCa { dir: PathBuf },

    #[error("cannot use the existing CA: {0}")]
    Ca(CredentialError),

    #[error("cannot use the existing CA: {} is not the certificate of a CA (its basic constraints do not say CA)", path.display())]
    NotACa { path: PathBuf },

    #[error("the existing CA ends on {}, before a certificate of {}: choose fewer --days, or make a new CA without --reuse-ca", rfc3339(*not_after), counted(days, "day"))]
    CaEndsFirst { not_after: i64, days: u32 },

    #[error("cannot issue a certificate: {0}")]
    Issue(rcgen::Error),

    #[error("no randomness for a serial number")]
    Randomness,

    #[error("the new certificate does not pass the checks of `hybridge run`: {0}")]
    Unusable(CredentialError),

    #[error("a client that trusts the CA would not trust the new certificate: {0}")]
    Untrusted(rustls::Error),

    #[error("a server with this client-ca would refuse the new certificate: {0}")]
    Refused(rustls::Error),
}
