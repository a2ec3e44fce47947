//! An egress in the bill: what it offers to servers, and what each of them chose.

use std::collections::BTreeMap;

use hybridge_scan::cbom::Service;
use hybridge_scan::groups;
use serde::Deserialize;

use super::certificate::{Facts, certificate};

/// An egress of the page `/status`.
#[derive(Deserialize)]
pub(super) struct Egress {
    name: String,
    protocol: String,
    target: String,
    policy: String,
    groups: Vec<String>,
    cipher_suites: Vec<String>,
    certificate: Option<Facts>,
    targets: Vec<Target>,
    #[serde(default)]
    handshakes: BTreeMap<String, BTreeMap<String, u64>>,
}

/// A server that it reached.
#[derive(Deserialize)]
struct Target {
    #[serde(rename = "target")]
    address: String,
    group: String,
    handshakes: u64,
}

impl Egress {
    pub(super) fn service(&self, version: &str) -> Service {
        let scheme = match self.protocol.as_str() {
            "http" => "https",
            _ => "tls",
        };
        let endpoints = self.reached().map(|at| format!("{scheme}://{at}"));
        let offered = self.groups.iter().map(|name| groups::as_listed(name));
        Service {
            name: self.name.clone(),
            endpoints: endpoints.collect(),
            versions: vec!["1.3".to_owned()],
            groups: offered.collect(),
            suites: self.cipher_suites.clone(),
            schemes: Vec::new(),
            certificates: self
                .certificate
                .as_ref()
                .map(certificate)
                .into_iter()
                .collect(),
            properties: self.properties(version),
        }
    }

    /// The servers that it reached, or the one that it is for.
    fn reached(&self) -> impl Iterator<Item = &str> {
        // With a capture, the text says how apps name theirs.
        let is_one = self.target.contains(':') && !self.target.contains([' ', '{']);
        let target = (self.targets.is_empty() && is_one).then_some(self.target.as_str());
        let seen = self.targets.iter().map(|seen| seen.address.as_str());
        seen.chain(target)
    }

    fn properties(&self, version: &str) -> Vec<(String, String)> {
        let named = |name: &str, value: String| (format!("hybridge:{name}"), value);
        let mut all = vec![
            named("version", version.to_owned()),
            named("role", "egress".to_owned()),
            named("policy", self.policy.clone()),
            named("target", self.target.clone()),
        ];
        for (group, kinds) in &self.handshakes {
            let count: u64 = kinds.values().sum();
            let name = format!("observed:handshakes:{}", groups::as_listed(group));
            all.push(named(&name, count.to_string()));
        }
        for seen in &self.targets {
            let name = format!("observed:target:{}", seen.address);
            let group = groups::as_listed(&seen.group);
            all.push(named(&format!("{name}:group"), group));
            all.push(named(
                &format!("{name}:handshakes"),
                seen.handshakes.to_string(),
            ));
        }
        all
    }
}
