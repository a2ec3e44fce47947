//! What a revocation list says of itself (RFC 5280 §5), and which of two is the newer.

use x509_parser::num_bigint::BigUint;
use x509_parser::oid_registry::{
    OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, OID_X509_EXT_ISSUER_DISTRIBUTION_POINT,
};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::tls::credentials::rfc3339;

/// What is known of a list without its issuer's key.
#[derive(Debug)]
pub(super) struct Known {
    /// The issuer's name in DER.
    pub(super) issuer: Vec<u8>,
    /// How messages call it.
    pub(super) issuer_text: String,
    /// When it was made, unix seconds.
    pub(super) this_update: i64,
    /// When it has to be replaced.
    pub(super) next_update: i64,
    /// Its number, big-endian, without zeros in front.
    number: Vec<u8>,
    /// Which of the issuer's keys signed it, as it says (authorityKeyIdentifier).
    signed_with: Option<Vec<u8>>,
    /// Which certificates it is about, if not all (issuingDistributionPoint).
    scope: Option<Vec<u8>>,
}

impl Known {
    /// The greater, the newer.
    pub(super) fn age(&self) -> (i64, usize, &[u8]) {
        (self.this_update, self.number.len(), &self.number)
    }

    /// Whether it is about what an older one is about. Where one key signed both (`of_one_key`), they need not say
    /// with which.
    pub(super) fn replaces(&self, older: &Self, of_one_key: bool) -> bool {
        self.issuer == older.issuer
            && (of_one_key || self.signed_with == older.signed_with)
            && self.scope == older.scope
    }

    /// The warning about one that had to be replaced before `now`.
    pub(super) fn out_of_date(&self, from: &str, now: i64) -> Option<String> {
        let (issuer, next) = (&self.issuer_text, self.next_update);
        let next = (next < now).then(|| rfc3339(next))?;
        Some(format!(
            "{from}: the revocation list of `{issuer}` had to be replaced at {next}: until it is, every client that `{issuer}` certified is refused"
        ))
    }
}

/// Reads one list.
pub(super) fn read(der: &[u8]) -> Result<Known, String> {
    let (rest, list) = CertificateRevocationList::from_der(der)
        .map_err(|cause| format!("it is no revocation list that can be read: {cause}"))?;
    if !rest.is_empty() {
        return Err(format!("{} bytes follow the revocation list", rest.len()));
    }
    let issuer_text = hybridge_names::text(list.issuer());
    let next = list.next_update().map(|time| time.timestamp());
    let next_update = next.ok_or_else(|| {
        format!("the revocation list of `{issuer_text}` does not say when it has to be replaced (nextUpdate)")
    })?;
    let extension = |oid| {
        let found = list.extensions().iter().find(|found| found.oid == oid);
        found.map(|found| found.value.to_vec())
    };
    let number = list.crl_number().map(BigUint::to_bytes_be);
    Ok(Known {
        issuer: list.issuer().as_raw().to_vec(),
        issuer_text,
        this_update: list.last_update().timestamp(),
        next_update,
        number: number.unwrap_or_default(),
        signed_with: extension(OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER),
        scope: extension(OID_X509_EXT_ISSUER_DISTRIBUTION_POINT),
    })
}
