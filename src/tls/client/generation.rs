//! One generation of what connections are made with: CAs, our certificate, and a session store
//! for each target. A new one has new stores: no ticket of an earlier certificate or CA is used.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::ClientConfig;
use rustls::client::{Resumption, Tls12Resumption};
use rustls::pki_types::CertificateDer;

use super::cas::{CaTexts, ClientTlsError};
use super::chains::Chains;
use super::sessions::{ConnectionTickets, Sessions, Tickets};
use super::settings::Settings;
use super::shown::Ours;
use super::verified::Verified;
use super::verifier::Verifier;
use crate::tls::credentials::{CertificateFacts, Credentials, PairText, ShownBy};
use crate::tls::digest::digest_of;
use crate::tls::policy::VERSIONS;

/// Targets whose tickets are kept; another one takes the place of any.
const MOST_TARGETS: usize = 1024;

/// What is read from files.
pub(super) struct Texts {
    cas: CaTexts,
    pair: Option<PairText>,
}

impl Texts {
    pub(super) fn read(settings: &Settings) -> Result<Self, ClientTlsError> {
        let pair = settings.pair.as_ref();
        let pair = pair.map(|(cert, key)| PairText::read(cert, key));
        Ok(Self {
            cas: CaTexts::read(&settings.ca)?,
            pair: pair
                .transpose()
                .map_err(|cause| ClientTlsError::Pair(Box::new(cause)))?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let pair = self.pair.as_ref().map(PairText::digest);
        let pair = pair.as_ref().map(<[u8; 32]>::as_slice);
        digest_of(self.cas.parts().into_iter().chain(pair))
    }
}

/// What the handshakes of one target are made with.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) config: Arc<ClientConfig>,
    /// `None` if sessions are not resumed.
    pub(super) sessions: Option<Arc<Sessions>>,
    pub(super) verified: Arc<Verified>,
}

impl Target {
    /// The config of one connection, and its view of the tickets.
    pub(super) fn of_connection(&self) -> (Arc<ClientConfig>, Option<Arc<ConnectionTickets>>) {
        let Some(sessions) = &self.sessions else {
            return (Arc::clone(&self.config), None);
        };
        let tickets = Arc::new(ConnectionTickets::of(sessions));
        let mut config = ClientConfig::clone(&self.config);
        config.resumption = Resumption::store(Arc::<ConnectionTickets>::clone(&tickets))
            .tls12_resumption(Tls12Resumption::Disabled);
        (Arc::new(config), Some(tickets))
    }
}

/// One generation.
pub(super) struct Generation {
    base: ClientConfig,
    verified: Arc<Verified>,
    resumption: bool,
    targets: Mutex<HashMap<Box<str>, Target>>,
    tickets: Arc<Tickets>,
    digest: [u8; 32],
    cas: usize,
    shown: Option<Credentials>,
    warnings: Vec<String>,
}

impl Generation {
    pub(super) fn new(settings: &Settings, texts: &Texts) -> Result<Self, ClientTlsError> {
        let refused = |cause: String| ClientTlsError::Refused(cause);
        let provider = Arc::new(settings.policy.client_provider());
        let verifies = provider.signature_verification_algorithms;
        let cas = texts.cas.parse(!settings.peer_ids.is_empty(), verifies)?;
        let (count, mut warnings) = (cas.count(), cas.warnings);
        let chains = Chains::new(cas.roots, cas.pins, &provider).map_err(refused)?;
        let verifier = Verifier::new(chains, settings.peer_ids.clone());
        let verified = Arc::clone(verifier.verified());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(VERSIONS)
            .map_err(|cause| refused(cause.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let credentials = match (&settings.pair, &texts.pair) {
            (Some((cert, key)), Some(text)) => {
                let (by, now) = (ShownBy::Client, SystemTime::now());
                let loaded = Credentials::shown_by(by, cert, key, text, now);
                Some(loaded.map_err(|cause| ClientTlsError::Pair(Box::new(cause)))?)
            }
            _ => None,
        };
        let mut base = match &credentials {
            Some(pair) => builder.with_client_cert_resolver(Arc::new(Ours(pair.certified_key()))),
            None => builder.with_no_client_auth(),
        };
        base.alpn_protocols = settings
            .alpn
            .iter()
            .map(|name| name.clone().into_bytes())
            .collect();
        base.enable_early_data = false;
        // Records are protected here, not by rustls: see `stream`.
        base.enable_secret_extraction = true;
        base.resumption = Resumption::disabled();
        let of_pair = credentials.iter().flat_map(Credentials::warnings);
        warnings.extend(of_pair.map(ToString::to_string));
        Ok(Self {
            base,
            verified,
            resumption: settings.resumption,
            targets: Mutex::default(),
            tickets: Arc::default(),
            digest: texts.digest(),
            cas: count,
            warnings,
            shown: credentials,
        })
    }

    pub(super) fn is_of(&self, texts: &Texts) -> bool {
        self.digest == texts.digest()
    }

    /// How many CAs there are.
    pub(super) fn ca_count(&self) -> usize {
        self.cas
    }

    /// The certificate that we show, if we have one.
    pub(super) fn facts(&self) -> Option<&CertificateFacts> {
        self.shown.as_ref().map(Credentials::facts)
    }

    /// It, and what clients get behind it.
    pub(super) fn certificates(&self) -> Vec<CertificateDer<'static>> {
        let shown = self.shown.iter();
        shown
            .flat_map(|pair| pair.certified_key().cert.clone())
            .collect()
    }

    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The config of a target, with its own tickets: those of servers that share a name are of no use to one
    /// another. The same for a protocol inside TLS, if it is chosen for each connection.
    pub(super) fn config(&self, target: &str, alpn: Option<&str>) -> Target {
        let both = alpn.map(|alpn| format!("{target} {alpn}"));
        let target = both.as_deref().unwrap_or(target);
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = targets.get(target) {
            return known.clone();
        }
        let mut config = self.base.clone();
        if let Some(alpn) = alpn {
            config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        }
        let made = Target {
            config: Arc::new(config),
            sessions: self.resumption.then(|| Arc::new(self.tickets.of_target())),
            verified: Arc::clone(&self.verified),
        };
        if targets.len() >= MOST_TARGETS
            && let Some(any) = targets.keys().next().cloned()
        {
            targets.remove(&any);
        }
        targets.insert(target.into(), made.clone());
        made
    }
}
