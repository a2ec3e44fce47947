//! A listener on the page `/status`.

use std::time::Instant;

use serde_json::{Value, json};

use super::ListenerStatus;
use crate::metrics::Metrics;
use crate::proxy::OpenPeers;
use crate::redact::Shown;
use crate::tls::credentials::rfc3339;
use crate::tls::reload::{CredentialStore, OtherFiles};
use crate::tls::tickets::TicketKeyStore;
use crate::tls::trust::TrustStore;

/// Clients that are listed, those with the most connections first.
const MAX_PEERS: usize = 100;

/// A listener, its certificates and who may connect.
pub(super) fn listener(listener: &ListenerStatus, metrics: &Metrics) -> Value {
    let names = |items: &mut dyn Iterator<Item = &'static str>| items.collect::<Vec<_>>();
    let stores = || listener.certificates.stores();
    let several = stores().count() > 1;
    let certificates = stores().filter(|_| several).map(|store| pair(store));
    let first = listener.certificates.first();
    json!({
        "name": listener.name,
        "role": "ingress",
        "addresses": listener.addresses,
        "protocol": listener.protocol.name(),
        "upstream": listener.upstream,
        "policy": listener.policy.mode().name(),
        "groups": names(&mut listener.policy.groups().iter().map(|g| g.name())),
        "cipher_suites": names(&mut listener.policy.suites().iter().map(|s| s.name())),
        "certificate": certificate(first),
        "certificate_error": first.last_error().map(|error| error.to_string()),
        "certificates": certificates.collect::<Vec<_>>(),
        "client_auth": listener.trust.as_ref().map(|trust| client_auth(trust, &listener.peers)),
        "census": census(listener),
        "ticket_keys": listener.ticket_keys.as_ref().map(|keys| ticket_keys(keys)),
        "signature_keys": listener.signature_keys.iter().map(|keys| signature_keys(keys)).collect::<Vec<_>>(),
        "handshakes": metrics.handshake_counts(&listener.name),
    })
}

/// How many come without a hybrid group; who they are is for `/census`.
fn census(listener: &ListenerStatus) -> Option<Value> {
    let census = &listener.census;
    let report = census.is_on().then(|| census.report(Instant::now()))?;
    Some(json!({
        "since": rfc3339(report.since.cast_signed()),
        "served": report.served,
        "classical": report.classical,
        "failed_classical": report.failed,
        "kinds": report.clients.len(),
    }))
}

/// One of several pairs.
fn pair(store: &CredentialStore) -> Value {
    json!({
        "cert": store.cert_name(),
        "certificate": certificate(store),
        "error": store.last_error().map(|error| error.to_string()),
    })
}

fn certificate(store: &CredentialStore) -> Option<Value> {
    let current = store.current()?;
    let mut facts = json!(current.facts());
    facts["valid_from"] = rfc3339(current.facts().not_before).into();
    facts["valid_until"] = rfc3339(current.facts().not_after).into();
    Some(facts)
}

/// How clients are verified, and whether the file still says so.
fn client_auth(trust: &TrustStore, peers: &OpenPeers) -> Value {
    let (listed, peers) = peers.listed(MAX_PEERS);
    let listed = listed.iter();
    let connected: Vec<_> = listed
        .map(|(peer, open)| json!({"peer": &**peer, "connections": open}))
        .collect();
    json!({
        "mode": <&str>::from(trust.settings().mode),
        "client_ca": Shown::path(&trust.settings().ca).to_string(),
        "generation": trust.current().digest(),
        "crl_next_update": trust.current().next_update().map(rfc3339),
        "error": trust.last_error().as_deref(),
        "peers": peers,
        "connected": connected,
    })
}

/// Which keys seal and open tickets, by their short names: replicas that share them show the same.
fn ticket_keys(keys: &TicketKeyStore) -> Value {
    let (active, others) = keys.ids();
    json!({
        "file": Shown::path(keys.path()).to_string(),
        "active": active,
        "opening": others,
        "error": keys.last_error().as_deref(),
    })
}

/// Which keys verify requests or sign responses.
fn signature_keys(keys: &OtherFiles) -> Value {
    let read = keys.read();
    let files = read.files().into_iter();
    let files = files.map(|file| Shown::path(&file).to_string());
    json!({
        "setting": read.setting(),
        "files": files.collect::<Vec<_>>(),
        "in_use": read.in_use(),
        "error": keys.last_error().as_deref(),
    })
}
