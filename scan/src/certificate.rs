//! One certificate, as a report shows it.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::moment::rfc3339;
use crate::printable::printable;

/// One certificate; read as the page `/status` of a sidecar names what it says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Certificate {
    /// Subject.
    pub subject: String,
    /// Issuer.
    pub issuer: String,
    /// Serial number in hex.
    pub serial: String,
    /// Names of the subjectAltName.
    pub names: Vec<String>,
    /// Seconds since 1970.
    pub not_before: i64,
    /// By RFC 3339.
    #[serde(skip_deserializing)]
    pub not_before_time: String,
    /// Seconds since 1970.
    pub not_after: i64,
    /// By RFC 3339.
    #[serde(skip_deserializing)]
    pub not_after_time: String,
    /// Algorithm of its key, with the size for RSA and the curve for EC.
    #[serde(rename(deserialize = "key_algorithm"))]
    pub key: String,
    /// Algorithm of its issuer's signature.
    #[serde(default, rename(deserialize = "signature_algorithm"))]
    pub signature: String,
    /// Hex.
    pub sha256: String,
}

/// What a certificate says; `None` if it is none.
pub fn describe(der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map_or_else(Vec::new, |names| {
        names.value.general_names.iter().filter_map(name).collect()
    });
    let validity = certificate.validity();
    let (not_before, not_after) = (
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    );
    Some(Certificate {
        subject: hybridge_names::text(certificate.subject()),
        issuer: hybridge_names::text(certificate.issuer()),
        serial: serial(certificate.raw_serial()),
        names,
        not_before,
        not_before_time: rfc3339(not_before),
        not_after,
        not_after_time: rfc3339(not_after),
        key: hybridge_names::algorithm::key(certificate.public_key()),
        signature: hybridge_names::algorithm::signature(
            &certificate.signature_algorithm.algorithm.to_id_string(),
        ),
        sha256: hex(digest(&SHA256, der).as_ref()),
    })
}

/// As `openssl x509 -serial` shows it: the zero octet that DER puts before a positive number whose first bit is set is
/// no digit.
fn serial(integer: &[u8]) -> String {
    match integer {
        [0, digits @ ..] if !digits.is_empty() => hex(digits),
        digits => hex(digits),
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) => Some(printable(name)),
        GeneralName::IPAddress([a, b, c, d]) => Some(format!("{a}.{b}.{c}.{d}")),
        GeneralName::IPAddress(bytes) => {
            let bytes: [u8; 16] = (*bytes).try_into().ok()?;
            Some(std::net::Ipv6Addr::from(bytes).to_string())
        }
        _ => None,
    }
}

/// In lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// People read one form, programs the other, and `/status` has the first only.
    #[test]
    fn moments_stand_in_both_forms() {
        let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 2);
        params.not_after = rcgen::date_time_ymd(2027, 1, 2);
        let key = rcgen::KeyPair::generate().unwrap();
        let described = describe(params.self_signed(&key).unwrap().der()).unwrap();
        let mut json = serde_json::to_value(&described).unwrap();
        assert_eq!(json["not_before"], 1_767_312_000);
        assert_eq!(json["not_before_time"], "2026-01-02T00:00:00Z");
        assert_eq!(json["not_after"], 1_798_848_000);
        assert_eq!(json["not_after_time"], "2027-01-02T00:00:00Z");
        let fields = json.as_object_mut().unwrap();
        fields.retain(|name, _| !name.ends_with("_time"));
        fields.insert("key_algorithm".into(), "EC P-256".into());
        serde_json::from_value::<Certificate>(json).unwrap();
    }
}
