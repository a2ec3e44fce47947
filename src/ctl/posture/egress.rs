//! An egress in the bill: what it offers to servers, and what each of them chose.

use hybridge_scan::cbom::Service;
use hybridge_scan::certificate::Certificate;
use hybridge_scan::groups;
use serde::Deserialize;

use super::observed::{Handshakes, handshakes, listed, named};
use crate::cli::scheme;

/// An egress of the page `/status`.
#[derive(Deserialize)]
pub(super) struct Egress {
    name: String,
    protocol: String,
    target: String,
    policy: String,
    groups: Vec<String>,
    cipher_suites: Vec<String>,
    certificate: Option<Certificate>,
    targets: Vec<Target>,
    #[serde(default)]
    handshakes: Handshakes,
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
        let scheme = scheme(&self.protocol);
        let endpoints = self.reached().map(|at| format!("{scheme}://{at}"));
        Service {
            name: self.name.clone(),
            endpoints: endpoints.collect(),
            versions: vec!["1.3".to_owned()],
            groups: listed(&self.groups),
            suites: self.cipher_suites.clone(),
            schemes: Vec::new(),
            certificates: self.certificate.iter().cloned().collect(),
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
        let mut all = vec![
            named("version", version.to_owned()),
            named("role", "egress".to_owned()),
            named("policy", self.policy.clone()),
            named("target", self.target.clone()),
        ];
        all.extend(handshakes(&self.handshakes));
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
