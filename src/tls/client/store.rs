//! What the connections of one origin are made with, as they read it and the reloader replaces it.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::pki_types::{CertificateDer, ServerName};
use tracing::{error, warn};

use super::cas::ClientTlsError;
use super::generation::{Generation, Texts};
use super::handshake::Peer;
use super::settings::Settings;
use crate::redact::Shown;
use crate::tls::credentials::{CertificateFacts, unix_seconds};
use crate::tls::standing::StandingFailure;

/// What the connections of one origin are made with.
pub struct ClientTls {
    settings: Settings,
    current: ArcSwap<Generation>,
    pub(in crate::tls) failure: StandingFailure,
}

impl ClientTls {
    /// Reads and checks every file.
    pub fn load(settings: &Settings) -> Result<Self, ClientTlsError> {
        let generation = Generation::new(settings, &Texts::read(settings)?)?;
        Ok(Self {
            settings: settings.clone(),
            current: ArcSwap::from_pointee(generation),
            failure: StandingFailure::default(),
        })
    }

    /// What it was told.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A handshake with `target`, which is to be `name`; `alpn` is offered instead of what was set.
    pub fn peer(&self, target: &str, name: ServerName<'static>, alpn: Option<&str>) -> Peer {
        Peer {
            with: self.current.load().config(target, alpn),
            name,
            timeout: self.settings.handshake_timeout,
        }
    }

    /// The certificate that we show, if we have one.
    pub fn facts(&self) -> Option<CertificateFacts> {
        self.current.load().facts().cloned()
    }

    /// That certificate and its chain.
    pub fn certificates(&self) -> Vec<CertificateDer<'static>> {
        self.current.load().certificates()
    }

    /// How many CAs there are.
    pub fn ca_count(&self) -> usize {
        self.current.load().ca_count()
    }

    /// What the operator should hear of CAs and pair.
    pub fn warnings(&self) -> Vec<String> {
        self.current.load().warnings().to_vec()
    }

    /// Says once a day that the certificate in use ends soon, or has ended.
    pub(in crate::tls) fn warn_of_expiry(&self) {
        let (Some(facts), Some((cert, _))) = (self.facts(), &self.settings.pair) else {
            return;
        };
        let now = unix_seconds(SystemTime::now());
        let validity = (facts.not_before, facts.not_after);
        let Some(warning) = self.failure.expiry().due(validity, now) else {
            return;
        };
        let (cert, not_after) = (Shown::path(cert), warning.not_after());
        match warning.hours_left() {
            Some(hours_left) => {
                warn!(%cert, %not_after, hours_left, "egress certificate expires soon");
            }
            None => {
                error!(%cert, %not_after, "egress certificate has expired: servers refuse it");
            }
        }
    }

    /// Why the files cannot be used since they last could.
    pub fn last_error(&self) -> Option<Arc<String>> {
        self.failure.get()
    }

    /// Runs each key exchange once, and asks for a random number: the first of a process is slower by
    /// orders of magnitude.
    pub fn warm_up(&self) {
        let random = self.settings.policy.client_provider().secure_random;
        let _ = random.fill(&mut [0; 32]);
        for group in self.settings.policy.groups() {
            let _ = group.key_exchange().start();
        }
        crate::tls::policy::kx::take_elapsed();
    }

    /// Reads and checks the files, and uses what they hold; whether it is something else.
    pub(in crate::tls) fn reread(&self) -> Result<bool, ClientTlsError> {
        let texts = Texts::read(&self.settings)?;
        if self.current.load().is_of(&texts) {
            return Ok(false);
        }
        let generation = Generation::new(&self.settings, &texts)?;
        self.current.store(Arc::new(generation));
        Ok(true)
    }
}
