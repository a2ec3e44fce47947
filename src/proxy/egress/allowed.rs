//! Which targets apps may name: an egress is no open relay. Pure.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::proxy::origin::Target;
use crate::proxy::ports::PortRange;
use crate::proxy_protocol::Network;

/// A rule: hosts and ports, such as `*.train:*` or `10.77.0.0/16:1024-65535`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TargetRule {
    text: String,
    hosts: Hosts,
    ports: PortRange,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Hosts {
    /// This name.
    Name(String),
    /// Names with one label or more before this, which begins with a dot.
    Below(String),
    /// Addresses, written as such by the app.
    Network(Network),
}

/// Why a text is no rule; continues the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TargetRuleError {
    /// Every host.
    #[error("lets apps reach every host with our identity: name hosts, *.DOMAIN or networks")]
    Everybody,
    /// No host.
    #[error("has no host that is a name, *.DOMAIN, an address or a network (IPv6 in brackets)")]
    Hosts,
    /// No port.
    #[error("has no ports behind its last colon: write one, a range such as 1024-65535, or *")]
    Ports,
}

impl TargetRule {
    pub(super) fn matches(&self, target: &Target) -> bool {
        if !self.ports.contains(target.port()) {
            return false;
        }
        match (&self.hosts, target.name(), target.address()) {
            (Hosts::Name(name), Some(host), _) => host.trim_end_matches('.') == name,
            (Hosts::Below(domain), Some(host), _) => {
                let host = host.trim_end_matches('.');
                host.len() > domain.len() && host.ends_with(domain.as_str())
            }
            (Hosts::Network(network), None, Some(address)) => network.contains(address.ip()),
            _ => false,
        }
    }
}

impl FromStr for TargetRule {
    type Err = TargetRuleError;

    fn from_str(text: &str) -> Result<Self, TargetRuleError> {
        let (host, ports) = text.rsplit_once(':').ok_or(TargetRuleError::Ports)?;
        let ports = match ports {
            "*" => PortRange::ALL,
            ports => ports.parse().map_err(|_| TargetRuleError::Ports)?,
        };
        Ok(Self {
            text: text.to_owned(),
            hosts: hosts(host)?,
            ports,
        })
    }
}

fn hosts(text: &str) -> Result<Hosts, TargetRuleError> {
    if text == "*" {
        return Err(TargetRuleError::Everybody);
    }
    let bare = text.strip_prefix('[');
    let bare = bare.and_then(|text| text.strip_suffix(']'));
    if let Ok(network) = bare.unwrap_or(text).parse::<Network>() {
        return Ok(Hosts::Network(network));
    }
    let is_name = |name: &str| {
        let target: Result<Target, _> = format!("{name}:1").parse();
        target.is_ok_and(|target| target.name().is_some()) && name.parse::<IpAddr>().is_err()
    };
    // The dot at the end is for resolvers: a target's is not compared either.
    let lower = text.trim_end_matches('.').to_ascii_lowercase();
    match lower.strip_prefix('*') {
        Some(domain) if domain.strip_prefix('.').is_some_and(is_name) => {
            Ok(Hosts::Below(domain.to_owned()))
        }
        None if is_name(&lower) && !lower.contains('/') => Ok(Hosts::Name(lower)),
        _ => Err(TargetRuleError::Hosts),
    }
}

impl fmt::Display for TargetRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_rule_lets_in_what_it_says_and_nothing_else() {
        for (rule, target, expected) in [
            ("*.train:*", "rank-0.train:29443", true),
            ("*.train:*", "a.b.train:1", true),
            ("*.train:*", "train:1", false),
            ("*.train:*", "evil-train:1", false),
            ("*.Train:443", "Rank-0.TRAIN:443", true),
            ("*.train:443", "rank-0.train:444", false),
            ("store.org:443", "store.org.:443", true),
            ("store.org:443", "a.store.org:443", false),
            ("store.org.:443", "store.org:443", true),
            ("Store.org.:443", "store.org.:443", true),
            ("*.train.:443", "rank-0.train:443", true),
            ("10.77.0.0/16:1024-65535", "10.77.3.4:1024", true),
            ("10.77.0.0/16:1024-65535", "10.77.3.4:1023", false),
            ("10.77.0.0/16:1024-65535", "10.78.0.1:1024", false),
            // A name may lead anywhere: only what is written is checked.
            ("10.77.0.0/16:*", "rank-0.train:1", false),
            ("[2001:db8::/32]:443", "[2001:db8::7]:443", true),
        ] {
            let rule: TargetRule = rule.parse().unwrap();
            assert_eq!(
                rule.matches(&target.parse().unwrap()),
                expected,
                "{rule} {target}"
            );
        }
    }

    #[test]
    fn what_is_no_rule_says_why() {
        for (text, expected) in [
            ("*:443", TargetRuleError::Everybody),
            ("*.train", TargetRuleError::Ports),
            ("a.org:0", TargetRuleError::Ports),
            ("a.org:9-1", TargetRuleError::Ports),
            ("a.*.org:1", TargetRuleError::Hosts),
            ("*a.org:1", TargetRuleError::Hosts),
            (".:1", TargetRuleError::Hosts),
            ("*.:1", TargetRuleError::Hosts),
            (":1", TargetRuleError::Hosts),
            ("0.0.0.0/0:1", TargetRuleError::Hosts),
        ] {
            let parsed: Result<TargetRule, _> = text.parse();
            assert_eq!(parsed, Err(expected), "{text}");
        }
    }
}
