//! The webhook's certificates: a CA that signs one certificate and is then forgotten, and how long the
//! certificates of a file are valid. The Secret around them is made in `inject::certs`.

use hybridge_seal::signature::pem;
use time::{Duration, OffsetDateTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;

use super::error::CertgenError;
use super::issue::{Ca, Generated};
use super::name::Name;
use super::request::{Algorithm, Request};

/// What a certificate is called in PEM, by older tools too (RFC 7468, section 5.1; OpenSSL).
const LABELS: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];

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
    der: Vec<u8>,
}

/// Every certificate in `text`; `None` if there is none, or one that cannot be read.
pub(crate) fn entries(text: &str) -> Option<Vec<CertEntry>> {
    let blocks: Vec<Pem> = Pem::iter_from_buffer(text.as_bytes())
        .collect::<Result<_, _>>()
        .ok()?;
    let found: Vec<CertEntry> = blocks
        .iter()
        .filter(|pem| LABELS.contains(&pem.label.as_str()))
        .map(|pem| {
            // OpenSSL's trust settings follow the certificate.
            let (rest, cert) = X509Certificate::from_der(&pem.contents).ok()?;
            let length = pem.contents.len() - rest.len();
            Some(CertEntry {
                subject: cert.subject().to_string(),
                ends: cert.validity().not_after.to_datetime(),
                der: pem.contents[..length].to_vec(),
            })
        })
        .collect::<Option<_>>()?;
    (!found.is_empty()).then_some(found)
}

/// The certificates in `text` that have not ended, as PEM.
pub(crate) fn unexpired_cas(text: &str, now: OffsetDateTime) -> Option<String> {
    let entries = entries(text)?.into_iter();
    let unexpired = entries.filter(|entry| entry.ends > now);
    Some(unexpired.fold(String::new(), |all, entry| {
        all + &pem::encode("CERTIFICATE", &entry.der)
    }))
}
