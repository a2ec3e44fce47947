//! The file of revocation lists (RFC 5280 §5): read, and until when it counts. Signatures are verified by
//! webpki with the certificate of the issuer, which may be an intermediate that only a client sends.

use std::path::Path;

use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::SectionKind;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::error::TrustError;
use crate::redact::Shown;
use crate::tls::credentials::{name_text, rfc3339};

/// The tag of a DER sequence, with which no PEM file begins.
const SEQUENCE: u8 = 0x30;

/// The lists of a file.
#[derive(Debug)]
pub(super) struct Revocation {
    pub(super) lists: Vec<CertificateRevocationListDer<'static>>,
    /// From when to when the one counts that has to be replaced first, unix seconds.
    pub(super) first_end: Option<(i64, i64)>,
    pub(super) warnings: Vec<String>,
}

impl Revocation {
    /// Lists in PEM, or one in DER; those that are out of date at `now` are worth a warning.
    pub(super) fn parse(path: &Path, text: &[u8], now: i64) -> Result<Self, TrustError> {
        let refused = |cause: String| TrustError::Crl {
            path: path.into(),
            cause,
        };
        let mut revocation = Self {
            lists: Vec::new(),
            first_end: None,
            warnings: Vec::new(),
        };
        if text.first() == Some(&SEQUENCE) {
            revocation.add(path, text.to_vec(), now).map_err(refused)?;
            return Ok(revocation);
        }
        for block in hybridge_pem::blocks(text).map_err(|cause| refused(cause.to_string()))? {
            let decoded = block.decode().map_err(|cause| refused(cause.to_string()))?;
            let Some((SectionKind::Crl, der)) = decoded else {
                let (at, label) = (block.at, block.label);
                return Err(refused(format!(
                    "{at} is `{label}`, not a revocation list (`X509 CRL`)"
                )));
            };
            let added = revocation.add(path, der, now);
            added.map_err(|cause| refused(format!("{}: {cause}", block.at)))?;
        }
        if revocation.lists.is_empty() {
            return Err(refused(
                "it holds no revocation list (`X509 CRL`)".to_owned(),
            ));
        }
        Ok(revocation)
    }

    fn add(&mut self, path: &Path, der: Vec<u8>, now: i64) -> Result<(), String> {
        let known = read(&der)?;
        let from = format!("client-crl: {}", Shown::path(path));
        let (issuer, next) = (&known.issuer_text, known.next_update);
        self.warnings.extend(out_of_date(&from, issuer, next, now));
        self.first_end = Some(first(self.first_end, (known.this_update, next)));
        self.lists.push(der.into());
        Ok(())
    }
}

/// What is known of a list without its issuer's key.
pub(super) struct Known {
    /// The issuer's name in DER.
    pub(super) issuer: Vec<u8>,
    /// How messages call it.
    pub(super) issuer_text: String,
    /// When it was made, unix seconds.
    pub(super) this_update: i64,
    /// When it has to be replaced.
    pub(super) next_update: i64,
}

/// Of two lists, the validity of the one that ends first.
pub(super) fn first(known: Option<(i64, i64)>, next: (i64, i64)) -> (i64, i64) {
    known.filter(|known| known.1 <= next.1).unwrap_or(next)
}

/// Reads one list.
pub(super) fn read(der: &[u8]) -> Result<Known, String> {
    let (rest, list) = CertificateRevocationList::from_der(der)
        .map_err(|cause| format!("it is no revocation list that can be read: {cause}"))?;
    if !rest.is_empty() {
        return Err(format!("{} bytes follow the revocation list", rest.len()));
    }
    let issuer_text = name_text(list.issuer());
    let next = list.next_update().map(|time| time.timestamp());
    let next_update = next.ok_or_else(|| {
        format!("the revocation list of `{issuer_text}` does not say when it has to be replaced (nextUpdate)")
    })?;
    Ok(Known {
        issuer: list.issuer().as_raw().to_vec(),
        issuer_text,
        this_update: list.last_update().timestamp(),
        next_update,
    })
}

/// The warning about a list that had to be replaced before `now`.
pub(super) fn out_of_date(from: &str, issuer: &str, next: i64, now: i64) -> Option<String> {
    let next = (next < now).then(|| rfc3339(next))?;
    Some(format!(
        "{from}: the revocation list of `{issuer}` had to be replaced at {next}: until it is, every client that `{issuer}` certified is refused"
    ))
}
