//! The names in a client's certificate.
//!
//! Sources: RFC 5280 §4.2.1.6 (names), the SPIFFE X509-SVID standard §2 and §5.2.

use std::fmt;
use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::uri::{is_plain, is_spiffe_id};
use crate::tls::credentials::{address, algorithm_label, hex, printable};

/// `uniformResourceIdentifier` among the general names (RFC 5280 §4.2.1.6).
const URI_TAG: u32 = 6;

/// How much of the fingerprint stands in logs.
const SHORT: usize = 16;

/// The names in a client's certificate. A name that is no text, or holds control characters, is none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PeerIdentity {
    /// URI names, in the certificate's order.
    pub uris: Vec<String>,
    /// The certificate has a URI name that is none, so `uris` are not all of them.
    pub uri_left_out: bool,
    /// DNS names, in the certificate's order.
    pub dns: Vec<String>,
    /// IP addresses, in the certificate's order.
    pub ips: Vec<IpAddr>,
    /// The common name, if there is exactly one.
    pub common_name: Option<String>,
    /// The distinguished name as RFC 4514 writes it, `CN=…,O=…`.
    pub subject: String,
    /// SHA-256 of the DER certificate in lower-case hexadecimal.
    pub sha256: String,
    /// The algorithm of its key, as metrics call it.
    pub algorithm: &'static str,
    /// End of validity, unix seconds.
    pub not_after: i64,
}

impl PeerIdentity {
    /// Reads the names of a certificate; `None` if it cannot be read, names that stand twice included.
    pub fn of(leaf: &[u8]) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(leaf).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let mut identity = Self {
            common_name: common_name(&certificate),
            subject: hybridge_names::text(certificate.subject()),
            sha256: hex(digest(&SHA256, leaf).as_ref()),
            algorithm: algorithm_label(certificate.public_key()),
            not_after: certificate.validity().not_after.timestamp(),
            ..Self::default()
        };
        if let Some(names) = certificate.subject_alternative_name().ok()? {
            for name in &names.value.general_names {
                identity.add(name);
            }
        }
        Some(identity)
    }

    fn add(&mut self, name: &GeneralName<'_>) {
        match name {
            GeneralName::URI(uri) if is_plain(uri) => self.uris.push((*uri).to_owned()),
            GeneralName::URI(_) => self.uri_left_out = true,
            GeneralName::Invalid(tag, _) if tag.0 == URI_TAG => self.uri_left_out = true,
            GeneralName::DNSName(name) if is_plain(name) => self.dns.push((*name).to_owned()),
            GeneralName::IPAddress(octets) => self.ips.extend(address(octets)),
            _ => {}
        }
    }

    /// The one SPIFFE ID. A certificate with several URI names is no SVID (X509-SVID §2).
    pub fn spiffe_id(&self) -> Option<&str> {
        match self.uris.as_slice() {
            [uri] if !self.uri_left_out && is_spiffe_id(uri) => Some(uri),
            _ => None,
        }
    }
}

/// For logs: the first URI, else DNS name, else common name, and the start of the fingerprint.
impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.uris.first().or_else(|| self.dns.first());
        if let Some(name) = names.or(self.common_name.as_ref()) {
            write!(f, "{} ", printable(name))?;
        }
        let short = self.sha256.get(..SHORT).unwrap_or_default();
        write!(f, "sha256:{short}")
    }
}

fn common_name(certificate: &X509Certificate<'_>) -> Option<String> {
    let mut names = certificate.subject().iter_common_name();
    match (names.next(), names.next()) {
        (Some(name), None) => {
            let name = hybridge_names::string(name.attr_value())?;
            (!name.contains(char::is_control)).then_some(name)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType};

    use super::*;

    fn leaf(params: &CertificateParams) -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn every_name_of_a_certificate_is_read() {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "batch");
        params.subject_alt_names = vec![
            SanType::DnsName("batch.example.org".try_into().unwrap()),
            SanType::URI("spiffe://example.org/ns/ai/sa/batch".try_into().unwrap()),
            SanType::IpAddress("192.0.2.7".parse().unwrap()),
        ];
        let identity = PeerIdentity::of(&leaf(&params)).unwrap();
        assert_eq!(identity.uris, ["spiffe://example.org/ns/ai/sa/batch"]);
        assert_eq!(
            identity.spiffe_id(),
            Some("spiffe://example.org/ns/ai/sa/batch")
        );
        assert_eq!(identity.dns, ["batch.example.org"]);
        assert_eq!(identity.ips, ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        assert_eq!(identity.common_name.as_deref(), Some("batch"));
        assert_eq!(identity.subject, "CN=batch");
        assert_eq!(identity.algorithm, "ecdsa-p256");
        let shown = identity.to_string();
        let expected = "spiffe://example.org/ns/ai/sa/batch sha256:";
        assert!(shown.starts_with(expected), "{shown}");
        assert_eq!(shown.len(), expected.len() + SHORT);
    }

    #[test]
    fn two_common_names_are_none() {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "alice");
        let one = PeerIdentity::of(&leaf(&params)).unwrap();
        assert_eq!(one.common_name.as_deref(), Some("alice"));
        let common_name = DnType::CustomDnType(vec![2, 5, 4, 3]);
        params.distinguished_name.push(common_name, "root");
        let two = PeerIdentity::of(&leaf(&params)).unwrap();
        assert_eq!(two.common_name, None, "{}", two.subject);
    }

    #[test]
    fn a_common_name_is_no_second_attribute_of_the_subject() {
        let subject = |names: &[(DnType, &str)]| {
            let mut params = CertificateParams::default();
            params.distinguished_name = rcgen::DistinguishedName::new();
            for (kind, name) in names {
                params.distinguished_name.push(kind.clone(), *name);
            }
            PeerIdentity::of(&leaf(&params)).unwrap().subject
        };
        let sly = subject(&[(DnType::CommonName, "alice, O=Admins")]);
        assert_eq!(sly, "CN=alice\\, O=Admins");
        let names = [
            (DnType::OrganizationName, "Admins"),
            (DnType::CommonName, "alice"),
        ];
        assert_eq!(subject(&names), "CN=alice,O=Admins");
    }

    #[test]
    fn a_common_name_with_a_control_character_is_none() {
        for (name, expected) in [
            ("Batch \u{e9}", Some("Batch \u{e9}")),
            ("batch\n", None),
            ("a\0b", None),
            ("a\u{85}b", None),
        ] {
            let mut params = CertificateParams::default();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
            let identity = PeerIdentity::of(&leaf(&params)).unwrap();
            assert_eq!(identity.common_name.as_deref(), expected, "{name:?}");
        }
    }

    /// As OpenSSL and old CAs write them.
    #[test]
    fn a_common_name_is_read_in_every_string_type() {
        use rcgen::string::{BmpString, PrintableString, TeletexString, UniversalString};
        let name = "batch1";
        for value in [
            DnValue::Utf8String(name.to_owned()),
            DnValue::PrintableString(PrintableString::try_from(name).unwrap()),
            DnValue::TeletexString(TeletexString::try_from(name).unwrap()),
            DnValue::BmpString(BmpString::try_from(name).unwrap()),
            DnValue::UniversalString(UniversalString::try_from(name).unwrap()),
        ] {
            let mut params = CertificateParams::default();
            params.distinguished_name = rcgen::DistinguishedName::new();
            let shown = format!("{value:?}");
            params.distinguished_name.push(DnType::CommonName, value);
            let identity = PeerIdentity::of(&leaf(&params)).unwrap();
            assert_eq!(identity.common_name.as_deref(), Some(name), "{shown}");
        }
    }

    #[test]
    fn a_uri_that_is_left_out_is_remembered() {
        let of = |second: &[u8]| {
            let mut params = CertificateParams::default();
            let first = "spiffe://a.org/x";
            params.subject_alt_names = vec![
                SanType::URI(first.try_into().unwrap()),
                SanType::URI("https://a.org/replaced".try_into().unwrap()),
            ];
            let mut der = leaf(&params);
            let old = b"https://a.org/replaced";
            assert_eq!(second.len(), old.len());
            let at = der.windows(old.len()).position(|part| part == old).unwrap();
            der[at..at + old.len()].copy_from_slice(second);
            PeerIdentity::of(&der).unwrap()
        };
        for (second, left_out) in [
            (&b"https://a.org/replaced"[..], false),
            (b"https://a.org/rep\0aced", true),
            (b"https://a.org/rep aced", true),
            (b"https://a.org/rep\xffaced", true),
        ] {
            let identity = of(second);
            assert_eq!(identity.uri_left_out, left_out, "{second:?}");
            assert_eq!(identity.spiffe_id(), None);
            let mut rules = super::super::Rules::default();
            rules.add_uri("spiffe://a.org/x").unwrap();
            assert!(!rules.allow(&identity), "{second:?}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_nobody() {
        assert_eq!(PeerIdentity::of(b""), None);
        assert_eq!(PeerIdentity::of(b"\x30\x03abc"), None);
        let mut followed = leaf(&CertificateParams::default());
        followed.push(0);
        assert_eq!(PeerIdentity::of(&followed), None);
    }
}
