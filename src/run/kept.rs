//! What a listener holds beside its settings: certificates, CAs, ticket keys, signatures seen. A
//! listener whose settings change keeps what the change does not concern.

use std::sync::Arc;
use std::time::Instant;

use rustls::server::ProducesTickets;

use super::error::Error;
use super::loading::{
    Before, certificate_set, responses, signature, ticket_key_store, trust_store,
};
use super::signature_keys::signature_keys;
use crate::census::Census;
use crate::config::ListenerConfig;
use crate::signature::{ReplayTables, ResponseSigner, Verifier};
use crate::tls::certificates::CertificateSet;
use crate::tls::credentials::is_token;
use crate::tls::reload::OtherFiles;
use crate::tls::tickets::{TicketKeyStore, ticketer};
use crate::tls::trust::{LastBundles, TrustStore};

/// What outlives a change of settings.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) certificates: Arc<CertificateSet>,
    /// What it trusts, if it asks clients for a certificate.
    pub(super) trust: Option<Arc<TrustStore>>,
    /// What its agent said last of CAs, if it has one.
    pub(super) bundles: LastBundles,
    /// The keys of its tickets, if they come from a file.
    pub(super) ticket_keys: Option<Arc<TicketKeyStore>>,
    /// Makes its tickets, if rustls's own does not.
    pub(super) tickets: Option<Arc<dyn ProducesTickets>>,
    /// Verifies signatures of requests, and remembers those it has seen.
    pub(super) signature: Option<Arc<Verifier>>,
    /// Signs responses.
    pub(super) responses: Option<Arc<ResponseSigner>>,
    /// The keys of both.
    pub(super) signature_keys: Vec<Arc<OtherFiles>>,
    pub(super) census: Arc<Census>,
}

impl Kept {
    /// Loads what the settings name; what was loaded under the same settings goes on.
    pub(super) fn of(
        config: &ListenerConfig,
        before: Option<(&ListenerConfig, &Self)>,
        replays: &Arc<ReplayTables>,
    ) -> Result<Self, Error> {
        let (name, tls) = (config.socket.name.as_str(), &config.tls);
        let same = |alike: fn(&ListenerConfig, &ListenerConfig) -> bool| {
            let held = before.filter(|(before, _)| alike(before, config));
            held.map(|(_, kept)| kept)
        };
        let agent = same(|a, b| agent(a) == agent(b));
        let bundles = agent.map(|kept| kept.bundles.clone()).unwrap_or_default();
        let past = in_use(before.map(|(_, kept)| kept), agent);
        let certificates = match same(|a, b| pairs(a) == pairs(b)) {
            Some(kept) => Arc::clone(&kept.certificates),
            None => Arc::new(with_threads(certificate_set(name, tls, &past)?, tls)?),
        };
        let trust = match same(|a, b| cas(a) == cas(b)) {
            Some(kept) => kept.trust.clone(),
            None => trust_store(name, tls, &past, &bundles)?.map(Arc::new),
        };
        let ticket_keys = match same(|a, b| a.tls.ticket_keys == b.tls.ticket_keys) {
            Some(kept) => kept.ticket_keys.clone(),
            None => ticket_key_store(name, tls, &past)?,
        };
        let tickets =
            match same(|a, b| a.tls == b.tls) {
                Some(kept) => kept.tickets.clone(),
                None => ticketer(name, tls, trust.as_deref(), ticket_keys.as_ref()).map_err(
                    |source| Error::Tls {
                        listener: name.to_owned(),
                        source,
                    },
                )?,
            };
        let signature = match same(|a, b| a.signature == b.signature) {
            Some(kept) => kept.signature.clone(),
            None => signature(name, config.signature.as_ref(), replays)?,
        };
        let responses = match same(|a, b| a.responses == b.responses) {
            Some(kept) => kept.responses.clone(),
            None => responses(name, config.responses.as_ref())?,
        };
        let signature_keys =
            match same(|a, b| (&a.signature, &a.responses) == (&b.signature, &b.responses)) {
                Some(kept) => kept.signature_keys.clone(),
                None => signature_keys(signature.as_ref(), responses.as_ref()),
            };
        let census = match same(|a, b| a.census == b.census) {
            Some(kept) => Arc::clone(&kept.census),
            None => Arc::new(Census::new(config.census, Instant::now())),
        };
        Ok(Self {
            certificates,
            trust,
            bundles,
            ticket_keys,
            tickets,
            signature,
            responses,
            signature_keys,
            census,
        })
    }
}

/// What is in use. `of_agent`: the same, if it asks the same agent.
fn in_use(before: Option<&Kept>, of_agent: Option<&Kept>) -> Before {
    let Some(before) = before else {
        return Before::default();
    };
    let (serving, waited_for): (Vec<_>, Vec<_>) = before
        .certificates
        .stores()
        .partition(|store| store.current().is_some());
    let serves = !serving.is_empty();
    let waited_for = waited_for.iter().map(|store| store.cert_path().to_owned());
    let (trust, keys) = (&before.trust, &before.ticket_keys);
    Before {
        waited_for: serves.then(|| waited_for.collect()),
        trust: trust.as_ref().map_or(serves, |trust| !trust.is_waiting()),
        ticket_keys: keys.as_ref().map_or(serves, |keys| !keys.is_waiting()),
        pair: of_agent.map(|kept| Arc::clone(kept.certificates.first())),
    }
}

/// With threads that sign, if a key lies in a token.
fn with_threads(set: CertificateSet, tls: &crate::tls::Settings) -> Result<CertificateSet, Error> {
    let set = set.with_signing_threads(tls.max_handshakes);
    set.map_err(Error::Runtime)
}

/// What decides which certificates there are.
fn pairs(config: &ListenerConfig) -> impl PartialEq {
    let tls = config.tls.clone();
    let agent = (tls.spiffe, tls.spiffe_hint);
    // As many signatures may wait for a token as handshakes.
    let further = tls.certificates.further.iter();
    let in_token = is_token(&tls.key) || further.into_iter().any(|pair| is_token(&pair.key));
    let places = in_token.then_some(tls.max_handshakes);
    (
        tls.cert,
        tls.key,
        tls.certificates,
        tls.profile,
        agent,
        places,
    )
}

/// What decides who gives it its certificate, if that is no file.
fn agent(config: &ListenerConfig) -> impl PartialEq {
    let tls = &config.tls;
    (tls.spiffe.clone(), tls.spiffe_hint.clone())
}

/// What decides which clients it trusts.
fn cas(config: &ListenerConfig) -> impl PartialEq {
    let tls = config.tls.clone();
    (tls.client_auth, tls.profile, tls.spiffe, tls.spiffe_hint)
}
