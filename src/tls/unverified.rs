//! Why a certificate of a peer is not verified, in words: what rustls and webpki print is the code of their errors.

use rustls::pki_types::UnixTime;
use rustls::{CertificateError, Error};

use crate::tls::credentials::rfc3339;

/// Names of a certificate in a message.
const MAX_NAMES: usize = 5;

/// Whether it says no more than that another CA certified the peer: one of the same name with another key, or with
/// a key of another algorithm, is another CA.
pub(super) fn is_of_another_issuer(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer
                | CertificateError::BadSignature
                | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
        )
    )
}

/// Such a cause by that name: alert 48 says so, where decrypt_error would speak of the handshake.
pub(super) fn of_another_issuer(error: Error) -> Error {
    if is_of_another_issuer(&error) {
        return Error::InvalidCertificate(CertificateError::UnknownIssuer);
    }
    error
}

/// The cause in a message.
pub(super) fn cause(error: &CertificateError) -> String {
    use CertificateError as E;
    let text = match error {
        E::BadEncoding => "it is malformed",
        E::BadSignature => "its signature is wrong",
        E::UnhandledCriticalExtension => "it has a critical extension that is not known",
        E::UnknownIssuer => "no CA there certifies it",
        E::UnknownRevocationStatus => "no revocation list of its issuer is there",
        E::UnsupportedSignatureAlgorithmContext { .. }
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "it, or a CA above it, is signed by an algorithm that is not admitted"
        }
        E::NotValidForNameContext {
            expected,
            presented,
        } => return other_name(&expected.to_str(), presented),
        E::ExpiredContext { not_after, .. } => return format!("at {}", date(*not_after)),
        E::NotValidYetContext { not_before, .. } => return format!("from {}", date(*not_before)),
        E::InvalidPurposeContext { .. } => return error.to_string(),
        E::Other(other) => return of_webpki(&other.0.to_string()),
        other => return in_words(&other.to_string()),
    };
    text.to_owned()
}

/// An error of webpki that rustls has no case for, by its name.
fn of_webpki(name: &str) -> String {
    let text = match name {
        "CaUsedAsEndEntity" => {
            "it is that of a CA, which cannot be used by a server or client itself"
        }
        "EndEntityUsedAsCa" => "what issued it is not a CA",
        "NameConstraintViolation" => {
            "its names are not among those that a CA above it may certify (name constraints; those on URIs cannot be verified and admit none)"
        }
        "PathLenConstraintViolated" => "a CA above it may not certify other CAs (pathlen)",
        "UnsupportedCertVersion" => "it is not of version 3",
        other => return in_words(other),
    };
    text.to_owned()
}

/// `MalformedExtensions` as it is read.
fn in_words(name: &str) -> String {
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
        return "it does not keep to RFC 5280".to_owned();
    }
    let mut words = String::new();
    for (index, c) in name.chars().enumerate() {
        if index > 0 && c.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

fn other_name(expected: &str, presented: &[String]) -> String {
    if presented.is_empty() {
        return format!("it has no name, and `{expected}` is wanted");
    }
    let names = first_names(presented, ", ", |name| bare(name));
    format!("it is for {names}, and `{expected}` is wanted")
}

/// Some of the names that a peer chose, as a line of the log has room for: certificates can have thousands.
pub(super) fn first_names(
    names: &[String],
    joint: &str,
    shown: impl Fn(&String) -> String,
) -> String {
    let first: Vec<_> = names.iter().take(MAX_NAMES).map(shown).collect();
    let first = first.join(joint);
    match names.len().saturating_sub(MAX_NAMES) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// The name in `DnsName("localhost")`.
fn bare(name: &str) -> String {
    let inside = name.split_once('(').map_or(name, |(_, inside)| inside);
    let inside = inside.strip_suffix(')').unwrap_or(inside);
    format!("`{}`", inside.trim_matches('"'))
}

fn date(time: UnixTime) -> String {
    rfc3339(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use rustls::OtherError;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct OfWebpki(&'static str);

    #[test]
    fn each_cause_is_read_as_words() {
        let other = |name| CertificateError::Other(OtherError(Arc::new(OfWebpki(name))));
        let time = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        for (error, words) in [
            (CertificateError::UnknownIssuer, "no CA there certifies it"),
            (
                CertificateError::InvalidOcspResponse,
                "invalid ocsp response",
            ),
            (other("EndEntityUsedAsCa"), "what issued it is not a CA"),
            (other("MalformedExtensions"), "malformed extensions"),
            (
                other("TrailingData(Extension)"),
                "it does not keep to RFC 5280",
            ),
            (
                CertificateError::ExpiredContext {
                    time: time(1_700_000_000),
                    not_after: time(1_600_000_000),
                },
                "at 2020-09-13T12:26:40Z",
            ),
        ] {
            assert_eq!(cause(&error), words);
        }
        let presented = [
            "DnsName(\"a.example\")".to_owned(),
            "IpAddress(127.0.0.1)".to_owned(),
        ];
        assert_eq!(
            other_name("b.example", &presented),
            "it is for `a.example`, `127.0.0.1`, and `b.example` is wanted"
        );
    }

    #[test]
    fn a_certificate_of_many_names_leaves_a_short_line() {
        let names: Vec<_> = (0..600)
            .map(|i| format!("DnsName(\"{i}.example\")"))
            .collect();
        assert_eq!(
            other_name("b.example", &names),
            "it is for `0.example`, `1.example`, `2.example`, `3.example`, `4.example` and 595 more, and `b.example` is wanted"
        );
        let five = first_names(names.get(..5).unwrap_or_default(), " and ", String::clone);
        assert!(five.ends_with("and DnsName(\"4.example\")"), "{five}");
    }
}
