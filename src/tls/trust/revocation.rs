//! The file of revocation lists (RFC 5280 §5): read, and until when it counts. Signatures are verified by
//! webpki with the certificate of the issuer, which may be an intermediate that only a client sends.

use std::path::Path;

use rustls::pki_types::pem::SectionKind;

use super::error::TrustError;
use super::known::read;
use super::lists::Lists;
use crate::redact::Shown;

/// The tag of a DER sequence, with which no PEM file begins.
const SEQUENCE: u8 = 0x30;

/// The lists of a file, in PEM, or one in DER.
pub(super) fn parse(path: &Path, text: &[u8]) -> Result<Lists, TrustError> {
    let refused = |cause: String| TrustError::Crl {
        path: path.into(),
        cause,
    };
    let from = format!("client-crl: {}", Shown::path(path));
    if text.first() == Some(&SEQUENCE) {
        let known = read(text).map_err(refused)?;
        return Ok(Lists::new(from, [(text.to_vec(), known)].into_iter()));
    }
    let mut lists = Vec::new();
    for block in hybridge_pem::blocks(text).map_err(|cause| refused(cause.to_string()))? {
        let decoded = block.decode().map_err(|cause| refused(cause.to_string()))?;
        let Some((SectionKind::Crl, der)) = decoded else {
            let (at, label) = (block.at, block.label);
            return Err(refused(format!(
                "{at} is `{label}`, not a revocation list (`X509 CRL`)"
            )));
        };
        let known = read(&der).map_err(|cause| refused(format!("{}: {cause}", block.at)))?;
        lists.push((der, known));
    }
    if lists.is_empty() {
        return Err(refused(
            "it holds no revocation list (`X509 CRL`)".to_owned(),
        ));
    }
    Ok(Lists::new(from, lists.into_iter()))
}
