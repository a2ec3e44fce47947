//! What the files of a listener hold, or its agent: loaded at the start and for another configuration.
//!
//! What cannot be used may be waited for where nothing is lost by that. Where something is in use it refuses
//! the configuration, and nothing changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::Error;
use crate::signature::{self, ReplayTables, ResponseSigner, Verifier};
use crate::tls::certificates::CertificateSet;
use crate::tls::policy::Profile;
use crate::tls::reload::CredentialStore;
use crate::tls::tickets::TicketKeyStore;
use crate::tls::trust::{LastBundles, TrustStore};

/// What the listener of that name has in use.
#[derive(Default)]
pub(super) struct Before {
    /// Certificate files that are waited for still, if another pair serves already.
    pub(super) waited_for: Option<Vec<PathBuf>>,
    pub(super) trust: bool,
    pub(super) ticket_keys: bool,
    /// What the same agent gave.
    pub(super) pair: Option<Arc<CredentialStore>>,
}

/// What stands against an agent at first.
const NO_ANSWER: &str = "the agent has not answered yet";

/// The first CAs of a listener, if it asks clients. They are waited for as the pair is: meanwhile
/// nobody is trusted. What an agent said last counts under other rules too.
pub(super) fn trust_store(
    name: &str,
    tls: &crate::tls::Settings,
    before: &Before,
    bundles: &LastBundles,
) -> Result<Option<TrustStore>, Error> {
    let Some(settings) = &tls.client_auth else {
        return Ok(None);
    };
    if tls.spiffe.is_some() {
        let store = TrustStore::of_bundles(settings, bundles, NO_ANSWER);
        return store.map(Some).map_err(Error::of_listener(name));
    }
    match TrustStore::load(settings) {
        Err(error) if tls.wait_for_certificate && !before.trust => {
            tracing::warn!(listener = %name, %error, "no usable authorities for clients yet, every client certificate is refused");
            Ok(Some(TrustStore::waiting(settings, &error)))
        }
        loaded => loaded.map(Some).map_err(Error::of_listener(name)),
    }
}

/// Which clients a listener trusts, if it asks: nothing to wait for, as `check` looks at it.
pub(super) fn trust(name: &str, tls: &crate::tls::Settings) -> Result<Option<TrustStore>, Error> {
    let settings = tls.client_auth.as_ref().filter(|_| tls.spiffe.is_none());
    let trust = settings.map(TrustStore::load).transpose();
    trust.map_err(Error::of_listener(name))
}

/// What verifies the signatures of requests, if they are asked for; as `check` looks at it too.
pub(super) fn signature(
    name: &str,
    settings: Option<&signature::Settings>,
    replays: &Arc<ReplayTables>,
) -> Result<Option<Arc<Verifier>>, Error> {
    let verifier = settings.map(|settings| Verifier::load(settings, replays));
    let verifier = verifier.transpose().map_err(Error::of_listener(name))?;
    Ok(verifier.map(Arc::new))
}

/// Who signs responses, if they are signed; as `check` looks at it too.
pub(super) fn responses(
    name: &str,
    settings: Option<&signature::ResponseSettings>,
) -> Result<Option<Arc<ResponseSigner>>, Error> {
    let signer = settings.map(ResponseSigner::load).transpose();
    let signer = signer.map_err(Error::of_listener(name))?;
    Ok(signer.map(Arc::new))
}

/// The keys of a listener's tickets, if they come from a file. Where a certificate may be waited for, so
/// may they: meanwhile clients resume at the process that they came to first.
pub(super) fn ticket_key_store(
    name: &str,
    tls: &crate::tls::Settings,
    before: &Before,
) -> Result<Option<Arc<TicketKeyStore>>, Error> {
    let Some(path) = &tls.ticket_keys else {
        return Ok(None);
    };
    let keys = match TicketKeyStore::load(path) {
        Err(error) if tls.wait_for_certificate && !before.ticket_keys => {
            tracing::warn!(listener = %name, %error, "no usable ticket keys yet, this process makes its own");
            TicketKeyStore::waiting(path, &error)
        }
        loaded => loaded,
    };
    let keys = keys.map_err(Error::of_listener(name))?;
    Ok(Some(Arc::new(keys)))
}

/// The keys as `check` looks at them: nothing to wait for.
pub(super) fn ticket_keys(
    name: &str,
    tls: &crate::tls::Settings,
) -> Result<Option<Arc<TicketKeyStore>>, Error> {
    let keys = tls.ticket_keys.as_deref().map(TicketKeyStore::load);
    let keys = keys.transpose().map_err(Error::of_listener(name))?;
    Ok(keys.map(Arc::new))
}

/// Every pair of a listener. Those that cannot be used may be waited for.
pub(super) fn certificate_set(
    name: &str,
    tls: &crate::tls::Settings,
    before: &Before,
) -> Result<CertificateSet, Error> {
    let may_wait = |cert: &Path| {
        let still = before.waited_for.as_ref();
        tls.wait_for_certificate && still.is_none_or(|all| all.iter().any(|path| path == cert))
    };
    set_of_pairs(name, tls, may_wait, before.pair.as_deref())
}

/// The same as `check` looks at it: nothing to wait for.
pub(super) fn certificates(
    name: &str,
    tls: &crate::tls::Settings,
) -> Result<CertificateSet, Error> {
    set_of_pairs(name, tls, |_| false, None)
}

fn set_of_pairs(
    name: &str,
    tls: &crate::tls::Settings,
    may_wait: impl Fn(&Path) -> bool,
    given: Option<&CredentialStore>,
) -> Result<CertificateSet, Error> {
    if tls.spiffe.is_some() {
        let store = CredentialStore::given(&tls.cert, tls.profile, given);
        let store = store.map_err(Error::of_listener(name))?;
        let settings = tls.certificates.clone();
        return Ok(CertificateSet::new(Arc::new(store), [], settings));
    }
    let load = |cert: &Path, key: &Path| {
        credential_store(name, cert, key, tls.profile, may_wait(cert)).map(Arc::new)
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
    let store = match CredentialStore::load(cert, key).and_then(|store| store.held_to(profile)) {
        Err(error) if wait => {
            tracing::warn!(listener = %name, reason = error.reason(), %error, "no usable certificate yet, every handshake is refused");
            CredentialStore::waiting(cert, key, &error).held_to(profile)
        }
        store => store,
    };
    store.map_err(Error::of_listener(name))
}
