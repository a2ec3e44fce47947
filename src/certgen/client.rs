//! The name of a client that a certificate is issued for: a URI such as a SPIFFE ID, a DNS name or an
//! IP address (RFC 5280 section 4.2.1.6, X509-SVID section 2).

use std::fmt;
use std::str::FromStr;

use super::name::Name;
use crate::redact::Shown;
use crate::tls::identity::Rules;

/// One subject alternative name of a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Client {
    Uri(String),
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
    /// The last part of the name: common name, and middle of the files' names.
    pub(super) fn short(&self) -> String {
        let text = self.to_string();
        let last = match self {
            Self::Uri(uri) => uri.rsplit('/').next().unwrap_or_default(),
            Self::Name(_) => text.as_str(),
        };
        let plain = |c: char| match c {
            c if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') => c,
            _ => '_',
        };
        last.chars().map(plain).collect()
    }
}

impl FromStr for Client {
    type Err = ClientError;

    /// A URI is one that an `allow-uri` can match; anything else could be nobody's name.
    fn from_str(text: &str) -> Result<Self, ClientError> {
        let refused = |problem: String| ClientError {
            written: text.into(),
            problem,
        };
        if !text.contains("://") {
            let name = text.parse().map(Self::Name);
            return name.map_err(|_| {
                refused("is neither a URI (`spiffe://example.org/ns/ai/sa/batch`) nor a DNS name or an IP address".to_owned())
            });
        }
        if text.contains('*') {
            return Err(refused("has a `*`: it is one client's name".to_owned()));
        }
        let rule = Rules::default().add_uri(text);
        rule.map_err(|problem| refused(problem.to_string()))?;
        Ok(Self::Uri(text.to_owned()))
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(uri) => f.write_str(uri),
            Self::Name(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;

    #[test]
    fn a_name_of_a_client_is_read_or_refused_with_a_remedy() {
        for (text, short) in [
            ("spiffe://example.org/ns/ai/sa/batch", "batch"),
            ("https://example.org", "example.org"),
            ("batch", "batch"),
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8::7", "2001_db8__7"),
        ] {
            let client: Client = text.parse().expect(text);
            assert_eq!(
                (client.to_string(), client.short()),
                (text.into(), short.into())
            );
        }
        for (text, says) in [
            ("spiffe://example.org/ns/*/sa/batch", "has a `*`"),
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
}
