//! What the app is told of a client's certificate, and the names of the fields that it trusts.
//!
//! `x-forwarded-client-cert` is Envoy's field: elements `Key=value`, joined by `;`. `client-cert` and
//! `client-cert-chain` are those of RFC 9440: byte sequences of structured fields (RFC 9651 §3.3.5). Pure.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::CertificateDer;

use super::spelling::same;
use crate::proxy::identity_fields::{IdentityField, IdentityFields};
use crate::tls::identity::PeerIdentity;

/// A field that is sent, and its value.
pub(crate) type CertificateField = (&'static str, String);

const XFCC: &str = "x-forwarded-client-cert";

/// A certificate may hold thousands of names, and many servers take 8 KiB of a field at most.
const LONGEST: usize = 4096;

/// Whether only a proxy may say this: the field above, and those of RFC 9440.
pub(super) fn is_about_it(name: &[u8]) -> bool {
    match name.len() {
        11 => same(name, "client-cert"),
        17 => same(name, "client-cert-chain"),
        23 => same(name, XFCC),
        _ => false,
    }
}

/// What is said of a client: nothing without a certificate that was verified. `chain` is what it
/// presented, its own certificate first.
pub(crate) fn certificate_fields(
    wanted: &IdentityFields,
    peer: Option<&PeerIdentity>,
    chain: &[CertificateDer<'_>],
) -> Vec<CertificateField> {
    let Some(peer) = peer else {
        return Vec::new();
    };
    let (own, above) = match chain.split_first() {
        Some((own, above)) => (Some(own), above),
        None => (None, &[][..]),
    };
    let value = |field: IdentityField| match field {
        IdentityField::XForwardedClientCert => Some(facts(peer)),
        IdentityField::ClientCert => own.map(byte_sequence),
        IdentityField::ClientCertChain => {
            let items: Vec<_> = above.iter().map(byte_sequence).collect();
            // A list without items is not sent (RFC 9651 §4.1).
            Some(items.join(", ")).filter(|list| !list.is_empty())
        }
    };
    let fields = wanted.0.iter();
    fields
        .filter_map(|field| Some((field.name(), value(*field)?)))
        .collect()
}

fn byte_sequence(certificate: &CertificateDer<'_>) -> String {
    format!(":{}:", BASE64_STANDARD.encode(certificate))
}

/// The facts about a verified certificate, never the certificate. Names that would make the field too
/// long are left out.
fn facts(peer: &PeerIdentity) -> String {
    let mut value = format!("Hash={}", peer.sha256);
    let subject = Some(subject(&peer.subject)).filter(|subject| !subject.is_empty());
    let elements = peer
        .uris
        .iter()
        .map(|uri| ("URI", uri))
        .chain(peer.dns.iter().map(|name| ("DNS", name)))
        .chain(subject.iter().map(|subject| ("Subject", subject)));
    for (key, text) in elements {
        let element = element(key, text);
        if value.len() + element.len() <= LONGEST {
            value.push_str(&element);
        }
    }
    value
}

fn element(key: &str, text: &str) -> String {
    let mut element = format!(";{key}=");
    if key == "Subject" {
        // Its own escapes are what Envoy sends, none on top of them.
        let _ = write!(element, "\"{text}\"");
    } else if text.contains([',', ';', '=', '"', '\\']) {
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = write!(element, "\"{quoted}\"");
    } else {
        element.push_str(text);
    }
    element
}

/// A distinguished name as Envoy sends it (OpenSSL's `XN_FLAG_RFC2253`): the text of RFC 4514 in ASCII. Where a value
/// has one of `"`, `;` and `\`, an app that splits the field at them without knowing escapes would read another
/// element; they are pairs of hexadecimal digits, in which RFC 4514 lets every character be written.
fn subject(name: &str) -> String {
    let mut written = String::with_capacity(name.len());
    let mut rest = name.chars();
    while let Some(c) = rest.next() {
        let escaped = rest.clone().next().filter(|_| c == '\\');
        match (c, escaped) {
            (_, Some(escaped @ ('"' | ';' | '\\'))) => {
                hybridge_names::push_pairs(&mut written, escaped);
                rest.next();
            }
            ('"' | ';' | '\\', None) => hybridge_names::push_pairs(&mut written, c),
            _ if c == ' ' || c.is_ascii_graphic() => written.push(c),
            _ => hybridge_names::push_pairs(&mut written, c),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(uris: &[&str], dns: &[&str], subject: &str) -> PeerIdentity {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        PeerIdentity {
            uris: owned(uris),
            dns: owned(dns),
            subject: subject.to_owned(),
            sha256: "0a1b".to_owned(),
            ..PeerIdentity::default()
        }
    }

    #[test]
    fn facts_are_written_as_envoy_reads_them() {
        let batch = peer(&["spiffe://a.org/x"], &["x.a.org", "y.a.org"], "CN=x,O=a");
        assert_eq!(
            facts(&batch),
            "Hash=0a1b;URI=spiffe://a.org/x;DNS=x.a.org;DNS=y.a.org;Subject=\"CN=x,O=a\""
        );
        assert_eq!(facts(&peer(&[], &[], "")), "Hash=0a1b");
    }

    #[test]
    fn no_name_ends_its_element_or_the_field() {
        let sly = peer(
            &["https://a/x;URI=spiffe://a.org/admin", "https://a/,Hash=1"],
            &[],
            "CN=x\\\\\\\"\\;URI=\\\"spiffe://a.org/admin",
        );
        assert_eq!(
            facts(&sly),
            "Hash=0a1b;URI=\"https://a/x;URI=spiffe://a.org/admin\";URI=\"https://a/,Hash=1\";Subject=\"CN=x\\5C\\22\\3BURI=\\22spiffe://a.org/admin\""
        );
        for (subject, sent) in [
            ("CN=M\u{fc}ller", "CN=M\\C3\\BCller"),
            ("CN=x\r\ny: z", "CN=x\\0D\\0Ay: z"),
            ("CN=x\\, O=a\\+b\\0A", "CN=x\\, O=a\\+b\\0A"),
            ("CN=x\";y\\", "CN=x\\22\\3By\\5C"),
        ] {
            let expected = format!("Hash=0a1b;Subject=\"{sent}\"");
            assert_eq!(facts(&peer(&[], &[], subject)), expected);
        }
    }

    #[test]
    fn a_certificate_of_many_names_makes_no_endless_field() {
        let names: Vec<String> = (0..10_000).map(|n| format!("n{n}.a.org")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let value = facts(&peer(&["spiffe://a.org/x"], &names, "CN=x"));
        assert!(value.len() <= LONGEST, "{}", value.len());
        assert!(
            value.contains(";URI=spiffe://a.org/x;DNS=n0.a.org;"),
            "{value}"
        );
    }
}
