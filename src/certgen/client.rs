//! The name of a client that a certificate is issued for: a URI such as a SPIFFE ID, a DNS name or an
//! IP address (RFC 5280 section 4.2.1.6, X509-SVID section 2).

use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};

use super::name::Name;
use crate::redact::Shown;
use crate::tls::credentials::hex;
use crate::tls::identity::Rules;

/// A file name may have 255 bytes; the checksum and `client-….crt` need 84 of them.
const LONGEST_STEM: usize = 160;

/// One subject alternative name of a client.
#[derive(Clone, Debug, Eq, PartialEq, strum::Display)]
pub enum Client {
    #[strum(to_string = "{0}")]
    Uri(String),
    #[strum(to_string = "{0}")]
    Name(Name),
}

/// Text that is no name of a client.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("\"{written}\" {problem}")]
pub struct ClientError {
    written: Shown,
    problem: String,
}

impl Client {
    /// The middle of the files' names: no two URIs have the same.
    pub(super) fn file_stem(&self) -> String {
        let stem = match self {
            Self::Uri(uri) => match uri.split_once("://") {
                Some((scheme, rest)) => {
                    let rest: Vec<_> = rest.split('/').map(escaped).collect();
                    format!("{}+{}", escaped(scheme), rest.join("+"))
                }
                None => escaped(uri),
            },
            // A DNS name or an address has no other character that a file name should not.
            Self::Name(name) => name.to_string().replace(':', "_"),
        };
        match stem.get(..LONGEST_STEM) {
            Some(start) if stem.len() > LONGEST_STEM => {
                let sum = hex(digest(&SHA256, stem.as_bytes()).as_ref());
                format!("{start}+sha256={sum}")
            }
            _ => stem,
        }
    }

    /// The common name, for names that are no URI: a part of a URI is not its holder's name.
    pub(super) fn common_name(&self) -> Option<String> {
        match self {
            Self::Uri(_) => None,
            Self::Name(name) => Some(name.to_string()),
        }
    }
}

/// Letters, digits, `-`, `_` and `.` as they are, all else as `=` and two hexadecimal digits.
fn escaped(part: &str) -> String {
    let mut text = String::new();
    for byte in part.bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || b"-_.".contains(&b) => text.push(b.into()),
            other => {
                text.push('=');
                text.push_str(&hex(&[other]));
            }
        }
    }
    text
}

impl FromStr for Client {
    type Err = ClientError;

    /// A URI is one that an `allow-uri` can match; anything else could be nobody's name.
    fn from_str(text: &str) -> Result<Self, ClientError> {
        let refused = |problem: String| ClientError {
            written: text.into(),
            problem,
        };
        if text.contains('*') {
            return Err(refused("has a `*`: it is one client's name".to_owned()));
        }
        if !text.contains("://") {
            let name = text.parse().map(Self::Name);
            return name.map_err(|_| {
                refused("is neither a URI (`spiffe://example.org/ns/ai/sa/batch`) nor a DNS name or an IP address".to_owned())
            });
        }
        let rule = Rules::default().add_uri(text);
        rule.map_err(|problem| refused(problem.to_string()))?;
        Ok(Self::Uri(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;

    #[test]
    fn a_name_of_a_client_is_read_or_refused_with_a_remedy() {
        for (text, stem) in [
            (
                "spiffe://example.org/ns/ai/sa/batch",
                "spiffe+example.org+ns+ai+sa+batch",
            ),
            ("https://example.org", "https+example.org"),
            (
                "https://example.org:443/a+b",
                "https+example.org=3a443+a=2bb",
            ),
            ("batch", "batch"),
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8::7", "2001_db8__7"),
        ] {
            let client: Client = text.parse().expect(text);
            assert_eq!(
                (client.to_string(), client.file_stem()),
                (text.into(), stem.into())
            );
        }
        for (text, says) in [
            ("spiffe://example.org/ns/*/sa/batch", "has a `*`"),
            ("*.example.org", "has a `*`"),
            ("*", "has a `*`"),
            ("spiffe://Example.org/batch", "capital letters"),
            ("spiffe://example.org/../batch", "is not scheme://"),
            ("two words", "neither a URI"),
            ("", "neither a URI"),
        ] {
            let refused = text.parse::<Client>().map_err(|error| error.to_string());
            let message = refused.expect_err(text);
            assert!(message.contains(says), "{text}: {message}");
        }
    }

    #[test]
    fn long_names_differ_still() {
        let stem = |last: &str| {
            let uri = format!("spiffe://example.org/{}/{last}", "x".repeat(1000));
            let client: Client = uri.parse().expect("a URI");
            client.file_stem()
        };
        assert!("client-.crt".len() + stem("a").len() <= 255);
        assert_ne!(stem("a"), stem("b"));
    }
}
