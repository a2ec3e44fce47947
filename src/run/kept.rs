//! What a listener holds beside its settings: certificates, CAs, ticket keys, signatures seen. A
//! listener whose settings change keeps what the change does not concern.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rustls::server::ProducesTickets;

use super::error::Error;
use super::signature_keys::signature_keys;
use crate::census::Census;
use crate::config::ListenerConfig;
use crate::signature::{self, ResponseSigner, Verifier};
use crate::tls::certificates::CertificateSet;
use crate::tls::credentials::is_token;
use crate::tls::policy::Profile;
use crate::tls::reload::{CredentialStore, OtherFiles};
use crate::tls::tickets::{TicketKeyError, TicketKeyStore, ticketer};
use crate::tls::trust::TrustStore;

/// What outlives a change of settings.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) certificates: Arc<CertificateSet>,
    /// What it trusts, if it asks clients for a certificate.
    pub(super) trust: Option<Arc<TrustStore>>,
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
    ) -> Result<Self, Error> {
        let (name, tls) = (config.socket.name.as_str(), &config.tls);
        let wait = tls.wait_for_certificate;
        let same = |alike: fn(&ListenerConfig, &ListenerConfig) -> bool| {
            let held = before.filter(|(before, _)| alike(before, config));
            held.map(|(_, kept)| kept)
        };
        let certificates = match same(|a, b| pairs(a) == pairs(b)) {
            Some(kept) => Arc::clone(&kept.certificates),
            None => Arc::new(with_threads(certificate_set(name, tls, wait)?, tls)?),
        };
        let trust = match same(|a, b| cas(a) == cas(b)) {
            Some(kept) => kept.trust.clone(),
            None => trust_store(name, tls)?.map(Arc::new),
        };
        let ticket_keys = match same(|a, b| a.tls.ticket_keys == b.tls.ticket_keys) {
            Some(kept) => kept.ticket_keys.clone(),
            None => ticket_key_store(name, tls)?,
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
            None => signature(name, config.signature.as_ref())?,
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
            ticket_keys,
            tickets,
            signature,
            responses,
            signature_keys,
            census,
        })
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

/// What decides which clients it trusts.
fn cas(config: &ListenerConfig) -> impl PartialEq {
    let tls = config.tls.clone();
    (tls.client_auth, tls.profile, tls.spiffe, tls.spiffe_hint)
}

/// What stands against an agent at first.
const NO_ANSWER: &str = "the agent has not answered yet";

/// The first CAs of a listener, if it asks clients. They are waited for as the pair is: meanwhile
/// nobody is trusted.
fn trust_store(name: &str, tls: &crate::tls::Settings) -> Result<Option<TrustStore>, Error> {
    let Some(settings) = &tls.client_auth else {
        return Ok(None);
    };
    if tls.spiffe.is_some() {
        return Ok(Some(TrustStore::awaiting(settings, NO_ANSWER)));
    }
    match TrustStore::load(settings) {
        Err(error) if tls.wait_for_certificate => {
            tracing::warn!(listener = %name, %error, "no usable authorities for clients yet, every client certificate is refused");
            Ok(Some(TrustStore::waiting(settings, &error)))
        }
        Ok(store) => Ok(Some(store)),
        Err(source) => Err(Error::Trust {
            listener: name.to_owned(),
            source: Box::new(source),
        }),
    }
}

/// Which clients a listener trusts, if it asks: nothing to wait for, as `check` looks at it.
pub(super) fn trust(name: &str, tls: &crate::tls::Settings) -> Result<Option<TrustStore>, Error> {
    let settings = tls.client_auth.as_ref().filter(|_| tls.spiffe.is_none());
    let trust = settings.map(TrustStore::load).transpose();
    trust.map_err(|source| Error::Trust {
        listener: name.to_owned(),
        source: Box::new(source),
    })
}

/// What verifies the signatures of requests, if they are asked for; as `check` looks at it too.
pub(super) fn signature(
    name: &str,
    settings: Option<&signature::Settings>,
) -> Result<Option<Arc<Verifier>>, Error> {
    let verifier = settings.map(Verifier::load).transpose();
    let verifier = verifier.map_err(|source| Error::SignatureKeys {
        listener: name.to_owned(),
        source: Box::new(source),
    });
    Ok(verifier?.map(Arc::new))
}

/// Who signs responses, if they are signed; as `check` looks at it too.
pub(super) fn responses(
    name: &str,
    settings: Option<&signature::ResponseSettings>,
) -> Result<Option<Arc<ResponseSigner>>, Error> {
    let signer = settings.map(ResponseSigner::load).transpose();
    let signer = signer.map_err(|source| Error::ResponseKeys {
        listener: name.to_owned(),
        source: Box::new(source),
    });
    Ok(signer?.map(Arc::new))
}

/// The keys of a listener's tickets, if they come from a file. Where a certificate may be waited for, so
/// may they: meanwhile clients resume at the process that they came to first.
fn ticket_key_store(
    name: &str,
    tls: &crate::tls::Settings,
) -> Result<Option<Arc<TicketKeyStore>>, Error> {
    match (ticket_keys(name, tls), &tls.ticket_keys) {
        (Err(Error::TicketKeys { source, .. }), Some(path)) if tls.wait_for_certificate => {
            tracing::warn!(listener = %name, error = %source, "no usable ticket keys yet, this process makes its own");
            let waiting = TicketKeyStore::waiting(path, &source);
            waiting.map(Arc::new).map(Some).map_err(refused(name))
        }
        (keys, _) => keys,
    }
}

/// The keys as `check` looks at them: nothing to wait for.
pub(super) fn ticket_keys(
    name: &str,
    tls: &crate::tls::Settings,
) -> Result<Option<Arc<TicketKeyStore>>, Error> {
    let keys = tls.ticket_keys.as_deref().map(TicketKeyStore::load);
    let keys = keys.transpose().map_err(refused(name))?;
    Ok(keys.map(Arc::new))
}

fn refused(listener: &str) -> impl FnOnce(TicketKeyError) -> Error {
    let listener = listener.to_owned();
    move |source| Error::TicketKeys {
        listener,
        source: Box::new(source),
    }
}

/// Every pair of a listener. With `wait` those that cannot be used are waited for.
pub(super) fn certificate_set(
    name: &str,
    tls: &crate::tls::Settings,
    wait: bool,
) -> Result<CertificateSet, Error> {
    if tls.spiffe.is_some() {
        let store = CredentialStore::awaiting(&tls.cert, tls.profile);
        let settings = tls.certificates.clone();
        return Ok(CertificateSet::new(Arc::new(store), [], settings));
    }
    let load = |cert: &Path, key: &Path| {
        credential_store(name, cert, key, tls.profile, wait).map(Arc::new)
    };
    let further = tls.certificates.further.iter();
    let further = further.map(|pair| load(&pair.cert, &pair.key));
    let further: Vec<_> = further.collect::<Result<_, _>>()?;
    let settings = tls.certificates.clone();
    Ok(CertificateSet::new(
        load(&tls.cert, &tls.key)?,
        further,
        settings,
    ))
}

/// A pair of a listener. A sidecar in a pod may be told to wait for it: it holds the port and
/// responds to the app's probes meanwhile, so that a bad Secret does not restart a healthy model.
fn credential_store(
    name: &str,
    cert: &Path,
    key: &Path,
    profile: Profile,
    wait: bool,
) -> Result<CredentialStore, Error> {
    let refused = |source| Error::Credentials {
        listener: name.to_owned(),
        source: Box::new(source),
    };
    match CredentialStore::load(cert, key).and_then(|store| store.held_to(profile)) {
        Ok(store) => Ok(store),
        Err(error) if wait => {
            tracing::warn!(listener = %name, reason = error.reason(), %error, "no usable certificate yet, every handshake is refused");
            let waiting = CredentialStore::waiting(cert, key, &error);
            waiting.held_to(profile).map_err(refused)
        }
        Err(source) => Err(refused(source)),
    }
}
