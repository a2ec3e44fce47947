//! A rule on DNS names (RFC 9525 §6.3, for a wildcard that is the rule's and not the certificate's).

use std::fmt::{self, Display, Formatter};

use super::error::RuleError;

/// A name, or a wildcard before it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct DnsRule {
    /// In lower case, without the wildcard.
    name: String,
    /// One label more, whatever it is.
    wildcard: bool,
}

impl DnsRule {
    pub(super) fn parse(text: &str) -> Result<Self, RuleError> {
        let (wildcard, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        if !is_dns_name(name) {
            return Err(RuleError(
                "is not a DNS name such as batch.example.org or *.example.org",
            ));
        }
        Ok(Self {
            name: name.to_ascii_lowercase(),
            wildcard,
        })
    }

    /// A wildcard of the certificate is no name, so it matches nothing.
    pub(super) fn matches(&self, name: &str) -> bool {
        let name = match (self.wildcard, name.split_once('.')) {
            (false, _) => name,
            (true, Some((label, rest))) if is_dns_name(label) => rest,
            (true, _) => return false,
        };
        name.eq_ignore_ascii_case(&self.name)
    }
}

impl Display for DnsRule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.wildcard { "*." } else { "" })?;
        f.write_str(&self.name)
    }
}

fn is_dns_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    name.split('.')
        .all(|label| !label.is_empty() && label.bytes().all(allowed))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_dns_rule_matches_a_name_or_one_label_more() {
        for (rule, name, expected) in [
            ("a.org", "a.org", true),
            ("A.org", "a.ORG", true),
            ("*.a.org", "b.a.org", true),
            ("*.a.org", "a.org", false),
            ("*.a.org", "c.b.a.org", false),
            ("*.a.org", "*.a.org", false),
            ("*.a.org", ".a.org", false),
            ("a.org", "b.a.org", false),
            ("a.org", "a.org.", false),
        ] {
            let rule_of = DnsRule::parse(rule).unwrap();
            assert_eq!(rule_of.matches(name), expected, "{rule} {name}");
        }
        for rule in [
            "", "*", "*.", "a..org", "b.*.org", "*a.org", "a.org.", "a b",
        ] {
            assert!(DnsRule::parse(rule).is_err(), "{rule}");
        }
    }
}
