//! An egress on the status page.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::EgressStatus;
use crate::metrics::Metrics;
use crate::tls::credentials::{rfc3339, unix_seconds};

/// What of an egress is worth a word and does not make it unready.
pub(super) fn details(egress: &EgressStatus) -> Vec<String> {
    let name = &egress.name;
    let failed = egress.tls.last_error().map(|error| {
        format!("egress `{name}`: the last reload of its certificates failed, those before it are used: {error}")
    });
    let now = unix_seconds(SystemTime::now());
    let facts = egress.tls.facts();
    let expired = facts.filter(|facts| facts.not_after < now).map(|_| {
        format!("egress `{name}`: its certificate has expired, servers that ask for one refuse it")
    });
    failed.into_iter().chain(expired).collect()
}

pub(super) fn describe(egress: &EgressStatus, metrics: &Metrics) -> Value {
    let settings = egress.tls.settings();
    let policy = &settings.policy;
    let names = |items: &mut dyn Iterator<Item = &'static str>| items.collect::<Vec<_>>();
    json!({
        "name": egress.name,
        "role": "egress",
        "addresses": egress.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "protocol": egress.protocol.name(),
        "target": egress.target,
        "policy": policy.mode().name(),
        "groups": names(&mut policy.groups().iter().map(|g| g.name())),
        "cipher_suites": names(&mut policy.suites().iter().map(|s| s.name())),
        "ca": settings.ca.shown().to_string(),
        "authorities": egress.tls.ca_count(),
        "peer_ids": settings.peer_ids.uris().collect::<Vec<_>>(),
        "certificate": egress.tls.facts().map(|facts| {
            let mut shown = json!(facts);
            shown["valid_from"] = rfc3339(facts.not_before).into();
            shown["valid_until"] = rfc3339(facts.not_after).into();
            shown
        }),
        "certificate_error": egress.tls.last_error().as_deref(),
        "targets": egress.seen.listed().into_iter().map(|seen| json!({
            "target": seen.target,
            "group": seen.group,
            "kind": seen.kind,
            "handshakes": seen.handshakes,
        })).collect::<Vec<_>>(),
        "handshakes": metrics.handshake_counts(&egress.name),
    })
}
