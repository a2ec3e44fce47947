//! What the operator of several pairs should know: `check` and the start say it.

use std::net::IpAddr;
use std::path::Path;

use super::name::{ServedName, fit};
use super::settings::PqCertificate;
use crate::redact::Shown;
use crate::tls::credentials::CertificateFacts;

/// A pair that is loaded, as far as advice looks at it.
pub(super) struct Known<'a> {
    pub(super) cert: &'a Path,
    /// What the operator wrote; empty: the names of the certificate count.
    pub(super) written: &'a [ServedName],
    pub(super) facts: &'a CertificateFacts,
}

impl Known<'_> {
    /// What it is called, in lower case.
    fn names(&self) -> Vec<String> {
        match self.written {
            [] => {
                let names = self.facts.names.iter();
                names.map(|name| name.to_ascii_lowercase()).collect()
            }
            written => written.iter().map(ToString::to_string).collect(),
        }
    }

    fn line(&self, text: &str) -> String {
        format!("certificate file {}: {text}", Shown::path(self.cert))
    }
}

/// One line for each surprise. `pairs` are all pairs of the listener, the first one first.
pub(super) fn advice(pq_certificate: PqCertificate, pairs: &[Known<'_>]) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, pair) in pairs.iter().enumerate() {
        lines.extend(not_held(pair));
        if index > 0 {
            lines.extend(nobody_asks(pair));
        }
        for (position, other) in pairs.iter().enumerate() {
            if position != index {
                lines.extend(beside(pq_certificate, pair, other, position < index));
            }
        }
    }
    lines
}

fn not_held(pair: &Known<'_>) -> Vec<String> {
    let held = |name: &str| {
        let mut held = pair.facts.names.iter();
        held.any(|held| fit(held, name).is_some())
    };
    let missing = pair.written.iter().filter(|name| !held(name.as_str()));
    missing
        .map(|name| {
            pair.line(&format!(
                "`{name}` is written to it and is no name of the certificate: clients refuse it"
            ))
        })
        .collect()
}

fn nobody_asks(pair: &Known<'_>) -> Option<String> {
    let mut names = pair.facts.names.iter();
    let only_addresses = names.all(|name| name.parse::<IpAddr>().is_ok());
    (pair.written.is_empty() && only_addresses).then(|| {
        pair.line("no client can ask for it, because it has no DNS name: have it issued with one")
    })
}

/// What is to be said of a pair that shares a name with another one.
fn beside(
    pq_certificate: PqCertificate,
    pair: &Known<'_>,
    other: &Known<'_>,
    other_is_before: bool,
) -> Option<String> {
    let others = other.names();
    let name = pair
        .names()
        .into_iter()
        .find(|name| others.contains(name))?;
    let algorithm = &other.facts.key_algorithm;
    if !pair.facts.is_post_quantum() || other.facts.is_post_quantum() {
        let hidden = other_is_before && pair.facts.key_algorithm == *algorithm;
        return hidden.then(|| {
            pair.line(&format!(
                "clients of `{name}` get the {algorithm} certificate before it: remove one of the two"
            ))
        });
    }
    if pq_certificate == PqCertificate::Always || !pair.written.is_empty() {
        return Some(pair.line(&format!(
            "clients of `{name}` that offer ML-DSA get this one and not that of {algorithm}: Go from 1.27 and OpenSSL from 3.5 offer it by default, and fail unless they trust its root; give them the root first"
        )));
    }
    Some(pair.line(&format!(
        "it is never served, because `{name}` has a certificate of {algorithm} too: write names = [\"{name}\"] to it, or pq-certificate = \"always\""
    )))
}
