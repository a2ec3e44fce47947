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
                lines.extend(beside(pq_certificate, index, pair, position, other));
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
    index: usize,
    pair: &Known<'_>,
    position: usize,
    other: &Known<'_>,
) -> Option<String> {
    let (names, others) = (pair.names(), other.names());
    let algorithm = &other.facts.key_algorithm;
    if !pair.facts.is_post_quantum() || other.facts.is_post_quantum() {
        let alike = position < index && pair.facts.key_algorithm == *algorithm;
        // A wildcard hides no name that another pair has exactly.
        let hidden = names.iter().find(|name| alike && others.contains(name))?;
        return Some(pair.line(&format!(
            "clients of `{hidden}` get the {algorithm} certificate before it: remove one of the two"
        )));
    }
    let shared = |name: &&String| others.iter().any(|other| fit(other, name).is_some());
    let name = names.iter().find(shared)?;
    if pq_certificate == PqCertificate::Always || !pair.written.is_empty() {
        return Some(pair.line(&format!(
            "clients of `{name}` that offer ML-DSA get this one and not that of {algorithm}: Go from 1.27 and OpenSSL from 3.5 offer it by default, and fail unless they trust its root; give them the root first"
        )));
    }
    let remedy = if index == 0 {
        format!(
            "move it into a [[listener.tls.certificate]] with names = [\"{name}\"] and put the other one first"
        )
    } else {
        format!("write names = [\"{name}\"] to it")
    };
    Some(pair.line(&format!(
        "clients of `{name}` never get it, because there is a certificate of {algorithm} for that name too: {remedy}, or write pq-certificate = \"always\""
    )))
}
