//! A rule on URI names, by whole segments (RFC 3986 §3; X509-SVID §2 and §5.2).

use std::fmt::{self, Display, Formatter};

use super::error::RuleError;
use super::peer::PeerIdentity;
use super::uri::{Uri, is_spiffe};

/// `scheme://authority/segments`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct UriRule {
    scheme: String,
    authority: String,
    segments: Vec<String>,
    /// `**` at the end.
    deeper: bool,
}

impl UriRule {
    pub(super) fn parse(text: &str) -> Result<Self, RuleError> {
        let uri = Uri::parse(text).ok_or(RuleError(
            "is not scheme://authority/segments; `%`, `?`, `#`, empty segments, `.` and `..` are not compared, so no rule may hold them",
        ))?;
        if uri.authority.contains('*') || uri.scheme.contains('*') {
            return Err(RuleError(
                "has a `*` outside of its path: name scheme and authority",
            ));
        }
        let lower = |part: &str| !part.bytes().any(|byte| byte.is_ascii_uppercase());
        if is_spiffe(text) && !(lower(uri.authority) && lower(uri.scheme)) {
            return Err(RuleError(
                "is a SPIFFE ID with capital letters in scheme or trust domain: write them in lower case",
            ));
        }
        let mut segments: Vec<String> = uri.segments().map(str::to_owned).collect();
        let deeper = segments.last().is_some_and(|last| last == "**");
        if deeper {
            segments.pop();
        }
        if segments
            .iter()
            .any(|segment| segment.contains('*') && segment != "*")
        {
            return Err(RuleError(
                "has a `*` that is not a whole segment, or a `**` that is not the last one",
            ));
        }
        Ok(Self {
            scheme: uri.scheme.to_owned(),
            authority: uri.authority.to_owned(),
            segments,
            deeper,
        })
    }

    pub(super) fn matches(&self, peer: &PeerIdentity) -> bool {
        // Which of several names would be meant is not for us to guess (X509-SVID §5.2).
        let several = peer.uris.len() > 1 && peer.uris.iter().any(|uri| is_spiffe(uri));
        let ambiguous = several || peer.uri_left_out;
        !ambiguous && peer.uris.iter().any(|uri| self.matches_one(uri))
    }

    fn matches_one(&self, uri: &str) -> bool {
        let Some(uri) = Uri::parse(uri) else {
            return false;
        };
        let mut rest = uri.segments();
        let mut begins_alike = || {
            self.segments.iter().all(|rule| {
                rest.next()
                    .is_some_and(|segment| rule == "*" || rule == segment)
            })
        };
        uri.scheme == self.scheme
            && uri.authority == self.authority
            && begins_alike()
            && rest.next().is_some() == self.deeper
    }
}

impl Display for UriRule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)?;
        let deeper = self.deeper.then_some("**");
        let mut segments = self.segments.iter().map(String::as_str).chain(deeper);
        segments.try_for_each(|segment| write!(f, "/{segment}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn uri_rule(rule: &str, uris: &[&str]) -> bool {
        UriRule::parse(rule).unwrap().matches(&PeerIdentity {
            uris: uris.iter().map(|uri| (*uri).to_owned()).collect(),
            ..PeerIdentity::default()
        })
    }

    #[test]
    fn a_uri_rule_matches_whole_segments() {
        for (rule, uri, expected) in [
            (
                "spiffe://a.org/ns/ai/sa/b",
                "spiffe://a.org/ns/ai/sa/b",
                true,
            ),
            (
                "spiffe://a.org/ns/*/sa/b",
                "spiffe://a.org/ns/ai/sa/b",
                true,
            ),
            ("spiffe://a.org/ns/ai/**", "spiffe://a.org/ns/ai/sa/b", true),
            ("spiffe://a.org/**", "spiffe://a.org/x", true),
            ("spiffe://a.org", "spiffe://a.org", true),
            ("https://a.org/x", "https://a.org/x", true),
            // A neighbour is not a part.
            (
                "spiffe://a.org/ns/ai/**",
                "spiffe://a.org/ns/ai2/sa/b",
                false,
            ),
            ("spiffe://a.org/ns/ai/**", "spiffe://a.org/ns/ai", false),
            ("spiffe://a.org/ns/ai/**", "spiffe://a.org/ns/ai/", false),
            ("spiffe://a.org/ns/*", "spiffe://a.org/ns/ai/sa", false),
            (
                "spiffe://a.org/ns/*/sa/b",
                "spiffe://a.org/ns/x/y/sa/b",
                false,
            ),
            ("spiffe://a.org/ns/ai", "spiffe://a.org/ns/ai/", false),
            ("spiffe://a.org/**", "spiffe://a.org", false),
            ("spiffe://a.org/**", "spiffe://a.org.evil.org/x", false),
            ("spiffe://a.org/**", "spiffe://evil.org/a.org/x", false),
            ("spiffe://a.org/x", "https://a.org/x", false),
            ("spiffe://a.org/X", "spiffe://a.org/x", false),
            ("spiffe://a.org/x", "spiffe://A.org/x", false),
            // What two readers might read differently is nobody's name.
            ("spiffe://a.org/**", "spiffe://a.org/ns/../x", false),
            ("spiffe://a.org/**", "spiffe://a.org/./x", false),
            ("spiffe://a.org/**", "spiffe://a.org//x", false),
            ("spiffe://a.org/**", "spiffe://a.org/%2e%2e/x", false),
            ("spiffe://a.org/**", "spiffe://a.org/x?y", false),
            ("spiffe://a.org/**", "spiffe://a.org/x#y", false),
            ("spiffe://a.org/x", "spiffe://a.org/x y", false),
        ] {
            assert_eq!(uri_rule(rule, &[uri]), expected, "{rule} {uri}");
        }
    }

    #[test]
    fn two_uri_names_with_a_spiffe_id_among_them_match_no_rule() {
        let (mine, other) = ("spiffe://a.org/x", "spiffe://a.org/y");
        assert!(!uri_rule("spiffe://a.org/x", &[mine, other]));
        assert!(!uri_rule("https://a.org/x", &["https://a.org/x", other]));
        assert!(uri_rule("https://a.org/x", &["https://a.org/x", "urn:x"]));
        assert!(!uri_rule("spiffe://a.org/x", &[]));
    }

    #[test]
    fn a_uri_rule_that_cannot_be_compared_is_refused() {
        for rule in [
            "",
            "a.org/x",
            "spiffe://",
            "spiffe:///x",
            "spiffe://a.org/",
            "spiffe://a.org//x",
            "spiffe://a.org/../x",
            "spiffe://a.org/x%41",
            "spiffe://*/x",
            "spiffe://*.org/x",
            "spiffe://a.org/x*",
            "spiffe://a.org/**/x",
            "spiffe://A.org/x",
            "*://a.org/x",
            "SPIFFE://a.org/x",
            "spiffe://a.org/x y",
        ] {
            assert!(UriRule::parse(rule).is_err(), "{rule}");
        }
    }
}
