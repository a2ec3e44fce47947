//! What a certificate says about itself, for `/status`, logs and metrics. Public data only.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::algorithm;
use super::block::Entry;
use crate::redact::is_printable;

/// The certificate that is served, the first of its file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct CertificateFacts {
    /// Distinguished name as RFC 4514 writes it, `CN=…,O=…`; empty if the certificate has none.
    pub subject: String,
    /// How messages call it: its subject, or else its first alternative name.
    #[serde(skip)]
    pub title: String,
    /// Distinguished name of who issued it.
    pub issuer: String,
    /// Subject alternative names: DNS names and IP addresses, in the certificate's order.
    pub names: Vec<String>,
    /// Serial number in lower-case hexadecimal, as `openssl x509 -serial` shows it.
    pub serial: String,
    /// Start of validity, unix seconds.
    pub not_before: i64,
    /// End of validity, unix seconds.
    pub not_after: i64,
    /// `ECDSA P-256`, `RSA-2048`, `ML-DSA-65`, …
    pub key_algorithm: String,
    /// How its issuer signed it: `ECDSA with SHA-256`, …, or an object identifier.
    pub signature_algorithm: String,
    /// SHA-256 of the DER certificate in lower-case hexadecimal.
    pub sha256: String,
    /// Certificates in the file, this one included.
    pub chain_length: usize,
    /// What each of them is signed with and for, in the file's order.
    #[serde(skip)]
    pub chain: Vec<Link>,
}

/// The algorithms of one certificate of a chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    /// Of its key: `ECDSA P-256`, `ML-DSA-87`, …
    pub key: String,
    /// Of its issuer's signature: `ECDSA with SHA-384`, `ML-DSA-87`, …
    pub signature: String,
}

impl CertificateFacts {
    /// Whether a quantum computer cannot sign with this key.
    pub fn is_post_quantum(&self) -> bool {
        self.key_algorithm.starts_with("ML-DSA")
    }

    pub(super) fn new(leaf: &Entry<'_>, chain: &[Entry<'_>]) -> Self {
        let leaf = &leaf.x509;
        let link = |entry: &Entry<'_>| Link {
            key: hybridge_names::algorithm::key(entry.x509.public_key()),
            signature: algorithm::signature(&entry.x509),
        };
        Self {
            subject: hybridge_names::text(leaf.subject()),
            title: title(leaf),
            issuer: hybridge_names::text(leaf.issuer()),
            names: alternative_names(leaf),
            serial: hex(without_sign_octet(leaf.raw_serial())),
            not_before: leaf.validity().not_before.timestamp(),
            not_after: leaf.validity().not_after.timestamp(),
            key_algorithm: hybridge_names::algorithm::key(leaf.public_key()),
            signature_algorithm: algorithm::signature(leaf),
            sha256: hex(digest(&SHA256, leaf.as_raw()).as_ref()),
            chain_length: chain.len(),
            chain: chain.iter().map(link).collect(),
        }
    }
}

/// How messages call a certificate: its subject, or else its first alternative name.
pub(super) fn title(certificate: &X509Certificate<'_>) -> String {
    let subject = hybridge_names::text(certificate.subject());
    if !subject.is_empty() {
        return subject;
    }
    let first = alternative_names(certificate).into_iter().next();
    let first = first.or_else(|| first_uri(certificate));
    first.unwrap_or_else(|| "without a name".to_owned())
}

pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if is_printable(c) {
            printable.push(c);
        } else {
            printable.extend(c.escape_default());
        }
    }
    printable
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    names.filter_map(alternative_name).collect()
}

/// That of an SVID, which need not have another name.
fn first_uri(certificate: &X509Certificate<'_>) -> Option<String> {
    let extension = certificate.subject_alternative_name().ok()??;
    let mut names = extension.value.general_names.iter();
    names.find_map(|name| match name {
        GeneralName::URI(uri) => Some(printable(uri)),
        _ => None,
    })
}

fn alternative_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(printable(name)),
        GeneralName::IPAddress(octets) => address(octets).map(|address| address.to_string()),
        _ => None,
    }
}

pub(crate) fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| v6()).ok()
}

/// DER puts a zero octet before a positive number whose first bit is set (X.690 8.3); it is no digit.
fn without_sign_octet(integer: &[u8]) -> &[u8] {
    match integer {
        [0, digits @ ..] if !digits.is_empty() => digits,
        digits => digits,
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * bytes.len());
    for digit in bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]) {
        hex.extend(char::from_digit(digit.into(), 16));
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_without_marks_that_reorder_it() {
        assert_eq!(printable("a\u{202e}b\nc"), "a\\u{202e}b\\nc");
    }
}
