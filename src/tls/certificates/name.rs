//! A name that a certificate is for, compared as clients compare it (RFC 9525 section 6.3).

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::DnsName;

use crate::redact::Shown;

/// A DNS name in lower case, or `*.` and one: any one label before it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServedName(String);

/// Text that clients cannot ask for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "\"{0}\" is not a DNS name (`api.example.com`, `*.example.com`); an IP address is not sent as a name"
)]
pub struct ServedNameError(Shown);

impl FromStr for ServedName {
    type Err = ServedNameError;

    fn from_str(text: &str) -> Result<Self, ServedNameError> {
        let host = text.strip_prefix("*.").unwrap_or(text);
        let is_address = text.parse::<std::net::IpAddr>().is_ok();
        match DnsName::try_from(host) {
            Ok(_) if !is_address => Ok(Self(text.to_ascii_lowercase())),
            _ => Err(ServedNameError(text.into())),
        }
    }
}

impl ServedName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How closely a pair fits a name; the closest wins.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Fit {
    Wildcard,
    Exact,
}

/// How `pattern`, from a certificate or the operator, fits what a client asks for.
pub(super) fn fit(pattern: &str, asked: &str) -> Option<Fit> {
    if pattern.eq_ignore_ascii_case(asked) {
        return Some(Fit::Exact);
    }
    let parent = pattern.strip_prefix("*.")?;
    let (label, rest) = asked.split_once('.')?;
    (!label.is_empty() && parent.eq_ignore_ascii_case(rest)).then_some(Fit::Wildcard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_as_a_whole_or_by_one_label() {
        for (pattern, asked, expected) in [
            ("api.test", "api.test", Some(Fit::Exact)),
            ("API.test", "api.TEST", Some(Fit::Exact)),
            ("*.test", "api.test", Some(Fit::Wildcard)),
            ("*.test", "a.b.test", None),
            ("*.test", "test", None),
            ("*.test", ".test", None),
            ("api.test", "x.api.test", None),
            ("test", "api.test", None),
        ] {
            assert_eq!(fit(pattern, asked), expected, "{pattern} {asked}");
        }
    }

    #[test]
    fn only_what_a_client_can_ask_for_is_a_name() {
        for good in ["api.test", "*.api.test", "API.test", "localhost"] {
            assert!(good.parse::<ServedName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "*",
            "*.",
            "a b",
            "192.0.2.7",
            "::1",
            "a.*.test",
            "https://a",
        ] {
            assert!(bad.parse::<ServedName>().is_err(), "{bad}");
        }
    }
}
