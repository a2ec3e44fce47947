//! The webhook's certificates: a CA that signs one certificate and is then forgotten, and how long the
//! certificates of a file are valid. The Secret around them is made in `inject::certs`.

use hybridge_pem::{Certificate, PemError, Position};
use hybridge_seal::signature::pem;
use rustls::pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::error::CertgenError;
use super::issue::{Ca, Generated};
use super::name::Name;
use super::request::{Algorithm, Request};

/// The certificate of a CA whose key is gone, and the certificate for `name` that it signed, valid for `days`. The CA
/// ends with the certificate, so that a rotation need not trust it any longer.
pub(crate) fn pair(name: Name, days: u32, now: OffsetDateTime) -> Result<Generated, CertgenError> {
    let request = Request {
        names: vec![name],
        algorithm: Algorithm::EcdsaP256,
        days,
    };
    let ca = Ca::generate("hybridge webhook CA", &request, now, Duration::ZERO)?;
    ca.issue_beside(&request, now)
}

/// One certificate of a file.
pub(crate) struct CertEntry {
    pub(crate) subject: String,
    pub(crate) ends: OffsetDateTime,
    pub(crate) der: CertificateDer<'static>,
}

/// Why a text is not certificates.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// It is not well-formed.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// A block that calls itself a certificate and is none.
    #[error("{at} is no certificate")]
    Certificate {
        /// Where it stands.
        at: Position,
    },
    /// No block is one.
    #[error("it holds no certificate")]
    Nothing,
}

/// Every certificate in `text`, one at least: what cannot be read would be a CA that goes missing.
pub(crate) fn entries(text: &str) -> Result<Vec<CertEntry>, EntryError> {
    let certificates = hybridge_pem::certificates(text.as_bytes())?;
    let entries: Result<Vec<_>, _> = certificates.into_iter().map(entry).collect();
    match entries? {
        none if none.is_empty() => Err(EntryError::Nothing),
        some => Ok(some),
    }
}

fn entry(Certificate { at, der }: Certificate) -> Result<CertEntry, EntryError> {
    let (_, certificate) =
        X509Certificate::from_der(&der).map_err(|_| EntryError::Certificate { at })?;
    Ok(CertEntry {
        subject: hybridge_names::text(certificate.subject()),
        ends: certificate.validity().not_after.to_datetime(),
        der,
    })
}

/// The certificates in `text` that have not ended, as PEM.
pub(crate) fn unexpired_cas(text: &str, now: OffsetDateTime) -> Result<String, EntryError> {
    let entries = entries(text)?.into_iter();
    let unexpired = entries.filter(|entry| entry.ends > now);
    Ok(unexpired.fold(String::new(), |all, entry| {
        all + &pem::encode("CERTIFICATE", &entry.der)
    }))
}
