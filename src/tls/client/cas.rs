//! Who certifies the servers: the certificates of a file, or the host's own bundle.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::SectionKind;

use crate::redact::Shown;
use crate::tls::credentials::{CredentialError, Role, read_trusted};
use crate::tls::pem::{self, PemError, Position};

/// Why CAs or a certificate of ours cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientTlsError {
    /// The file of CAs cannot be read.
    #[error("ca: {0}")]
    File(Box<CredentialError>),
    /// It is no PEM.
    #[error("ca: {path}: {cause}")]
    Pem {
        /// The file.
        path: Shown,
        /// What is wrong.
        cause: PemError,
    },
    /// It holds something else.
    #[error("ca: {path}: {at} is no certificate of a CA: {cause}")]
    Certificate {
        /// The file.
        path: Shown,
        /// The block.
        at: Position,
        /// What is wrong.
        cause: String,
    },
    /// It holds a private key.
    #[error("ca: {path}: {at} is a private key: write only the certificates of the CAs")]
    PrivateKey {
        /// The file.
        path: Shown,
        /// The block.
        at: Position,
    },
    /// It holds nothing.
    #[error(
        "ca: {path} holds no certificate: write the PEM certificates of the CAs that certify the servers"
    )]
    Empty {
        /// The file.
        path: Shown,
    },
    /// The host has no bundle.
    #[error(
        "ca `system`: this host has no bundle of CAs{0}: mount one, set SSL_CERT_FILE to it, or name a file"
    )]
    NoBundle(String),
    /// The pair that we show.
    #[error("cert and key: {0}")]
    Pair(Box<CredentialError>),
    /// rustls refuses it.
    #[error("the TLS settings cannot be used: {0}")]
    Refused(String),
}

/// The certificates of a PEM file.
pub(super) fn of_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientTlsError> {
    let text = read_trusted(Role::Certificate, path);
    let text = text.map_err(|cause| ClientTlsError::File(Box::new(cause)))?;
    let malformed = |cause| ClientTlsError::Pem {
        path: path.into(),
        cause,
    };
    let mut all = Vec::new();
    for block in pem::blocks(&text).map_err(malformed)? {
        match block.decode().map_err(malformed)? {
            Some((SectionKind::Certificate, der)) => {
                let der = CertificateDer::from(der);
                let added = RootCertStore::empty().add(der.clone());
                added.map_err(|cause| ClientTlsError::Certificate {
                    path: path.into(),
                    at: block.at,
                    cause: cause.to_string(),
                })?;
                all.push(der);
            }
            Some((
                SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey,
                _,
            )) => {
                return Err(ClientTlsError::PrivateKey {
                    path: path.into(),
                    at: block.at,
                });
            }
            _ => {
                return Err(ClientTlsError::Certificate {
                    path: path.into(),
                    at: block.at,
                    cause: format!("it is `{}`", block.label),
                });
            }
        }
    }
    if all.is_empty() {
        return Err(ClientTlsError::Empty { path: path.into() });
    }
    Ok(all)
}

/// The certificates of the host's bundle. One that cannot be read is left out, as other programs do.
pub(super) fn of_system() -> Result<Vec<CertificateDer<'static>>, ClientTlsError> {
    let found = rustls_native_certs::load_native_certs();
    let usable = |der: &CertificateDer<'static>| RootCertStore::empty().add(der.clone()).is_ok();
    let all: Vec<_> = found.certs.into_iter().filter(usable).collect();
    if all.is_empty() {
        let cause = found.errors.first();
        let cause = cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
        return Err(ClientTlsError::NoBundle(cause));
    }
    Ok(all)
}
