//! Which identities may in: any one rule that matches is enough, and without a rule nobody may.

use std::net::IpAddr;

use super::dns_rule::DnsRule;
use super::error::RuleError;
use super::peer::PeerIdentity;
use super::uri_rule::UriRule;

/// The rules of a listener.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rules {
    /// Everyone the CAs certify.
    any: bool,
    uris: Vec<UriRule>,
    dns: Vec<DnsRule>,
    ips: Vec<IpAddr>,
    common_names: Vec<String>,
}

impl Rules {
    /// Everyone the CAs certify.
    pub fn any() -> Self {
        Self {
            any: true,
            ..Self::default()
        }
    }

    /// Whether there is no rule, which lets nobody in.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether everyone the CAs certify may in.
    pub fn is_any(&self) -> bool {
        self.any
    }

    /// `scheme://authority/segments`; `*` is one segment, `**` at the end one or more.
    pub fn add_uri(&mut self, text: &str) -> Result<(), RuleError> {
        add(&mut self.uris, UriRule::parse(text)?);
        Ok(())
    }

    /// A name, or `*.` and a name: one label more.
    pub fn add_dns(&mut self, text: &str) -> Result<(), RuleError> {
        add(&mut self.dns, DnsRule::parse(text)?);
        Ok(())
    }

    /// An address.
    pub fn add_ip(&mut self, text: &str) -> Result<(), RuleError> {
        let address = text.parse().map_err(|_| {
            RuleError("is not an IP address such as 192.0.2.7 or 2001:db8::7; networks are no rule")
        })?;
        add(&mut self.ips, address);
        Ok(())
    }

    /// A common name, letter by letter.
    pub fn add_common_name(&mut self, text: &str) -> Result<(), RuleError> {
        if text.is_empty() {
            return Err(RuleError(
                "is empty: no client has a common name without characters; is there a comma too many?",
            ));
        }
        if text.contains('*') {
            return Err(RuleError(
                "has a `*`: a common name is compared letter by letter",
            ));
        }
        add(&mut self.common_names, text.to_owned());
        Ok(())
    }

    /// Whether an identity may in.
    pub fn allow(&self, peer: &PeerIdentity) -> bool {
        self.any
            || self.uris.iter().any(|rule| rule.matches(peer))
            || self
                .dns
                .iter()
                .any(|rule| peer.dns.iter().any(|name| rule.matches(name)))
            || self.ips.iter().any(|ip| peer.ips.contains(ip))
            || peer
                .common_name
                .as_ref()
                .is_some_and(|name| self.common_names.contains(name))
    }

    /// The rules of each kind, as they are compared.
    pub fn uris(&self) -> impl Iterator<Item = String> {
        self.uris.iter().map(UriRule::to_string)
    }

    /// As they are compared: in lower case.
    pub fn dns(&self) -> impl Iterator<Item = String> {
        self.dns.iter().map(DnsRule::to_string)
    }

    /// As addresses are written.
    pub fn ips(&self) -> impl Iterator<Item = String> {
        self.ips.iter().map(IpAddr::to_string)
    }

    /// As written.
    pub fn common_names(&self) -> impl Iterator<Item = &str> {
        self.common_names.iter().map(String::as_str)
    }
}

/// A rule that is there already says nothing new.
fn add<T: PartialEq>(rules: &mut Vec<T>, rule: T) {
    if !rules.contains(&rule) {
        rules.push(rule);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_and_common_names_are_compared_whole_and_without_a_rule_nobody_may_in() {
        let peer = PeerIdentity {
            ips: vec!["2001:db8::7".parse().unwrap()],
            common_name: Some("batch".to_owned()),
            ..PeerIdentity::default()
        };
        let mut rules = Rules::default();
        assert!(!rules.allow(&peer));
        rules.add_ip("2001:db8::8").unwrap();
        rules.add_common_name("Batch").unwrap();
        rules.add_common_name("batc").unwrap();
        assert!(!rules.allow(&peer));
        rules.add_ip("2001:0db8::7").unwrap();
        assert!(rules.allow(&peer));
        let mut rules = Rules::default();
        rules.add_common_name("batch").unwrap();
        assert!(rules.allow(&peer));
        assert!(Rules::any().allow(&peer));
        assert!(rules.add_ip("192.0.2.0/24").is_err());
        assert!(rules.add_common_name("b*").is_err());
    }

    #[test]
    fn rules_are_shown_as_they_are_compared_and_once() {
        let mut rules = Rules::default();
        for name in ["*.Example.ORG", "*.example.org", "A.org"] {
            rules.add_dns(name).unwrap();
        }
        assert_eq!(rules.dns().collect::<Vec<_>>(), ["*.example.org", "a.org"]);
        for address in ["2001:0DB8::0007", "2001:db8::7", "192.0.2.7"] {
            rules.add_ip(address).unwrap();
        }
        assert_eq!(
            rules.ips().collect::<Vec<_>>(),
            ["2001:db8::7", "192.0.2.7"]
        );
        let uris = [
            "spiffe://a.org/ns/*/**",
            "spiffe://a.org",
            "https://A.org/x",
        ];
        for uri in uris.into_iter().chain(["spiffe://a.org"]) {
            rules.add_uri(uri).unwrap();
        }
        assert_eq!(rules.uris().collect::<Vec<_>>(), uris);
        for name in ["Batch", "batch", "Batch"] {
            rules.add_common_name(name).unwrap();
        }
        assert_eq!(rules.common_names().collect::<Vec<_>>(), ["Batch", "batch"]);
    }
}
