//! The CAs and rules in use, as handshakes read them and the reloader replaces them: one value,
//! so that no handshake meets new CAs with old rules.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::server::danger::ClientCertVerifier;
use tracing::{error, warn};

use super::bundles::LastBundles;
use super::choice::Chosen;
use super::error::TrustError;
use super::generation::{Texts, Trust};
use super::settings::Settings;
use super::verifier::Verifier;
use crate::redact::Shown;
use crate::tls::credentials::unix_seconds;
use crate::tls::standing::StandingFailure;

/// Which clients a listener trusts.
pub struct TrustStore {
    settings: Settings,
    current: Arc<ArcSwap<Trust>>,
    pub(in crate::tls) failure: StandingFailure,
}

impl TrustStore {
    /// Reads and checks the CAs; without them nobody may in.
    pub fn load(settings: &Settings) -> Result<Self, TrustError> {
        let trust = Trust::from_texts(settings, &Texts::read(settings)?)?;
        Ok(Self::using(settings, trust))
    }

    /// Stands for files that hold nothing usable yet: nobody is trusted until the reloader fills it.
    pub fn waiting(settings: &Settings, error: &TrustError) -> Self {
        Self::awaiting(settings, &error.to_string())
    }

    /// Stands for an agent: what it said last decides, by these settings; nobody is trusted before it has
    /// said anything.
    pub fn of_bundles(
        settings: &Settings,
        last: &LastBundles,
        message: &str,
    ) -> Result<Self, TrustError> {
        match last.trust(settings)? {
            Some(trust) => Ok(Self::using(settings, trust)),
            None => Ok(Self::awaiting(settings, message)),
        }
    }

    fn using(settings: &Settings, trust: Trust) -> Self {
        let store = Self {
            settings: settings.clone(),
            current: Arc::new(ArcSwap::from_pointee(trust)),
            failure: StandingFailure::default(),
        };
        store.say_no_list_twice();
        store
    }

    /// A list that had ended when it was read is one of [`Trust::warnings`], which are logged with it: the daily
    /// error about it is not due on the same day.
    fn say_no_list_twice(&self) {
        let trust = self.current.load();
        let ended = |validity: &(i64, i64)| validity.1 < trust.read_at;
        if let Some(validity) = trust.list_validity.filter(ended) {
            let _ = self.failure.expiry().due(validity, trust.read_at);
        }
    }

    fn awaiting(settings: &Settings, message: &str) -> Self {
        let store = Self::using(settings, Trust::nobody(settings));
        store.failure.record(&message.to_owned().into());
        store
    }

    /// Whether the first CAs are waited for.
    pub fn is_waiting(&self) -> bool {
        self.current.load().is_nobody()
    }

    /// What it was told.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What handshakes are verified with.
    pub fn current(&self) -> Arc<Trust> {
        self.current.load_full()
    }

    /// The failure that stands since the last good look, if any.
    pub fn last_error(&self) -> Option<Arc<String>> {
        self.failure.get()
    }

    /// What handshakes are verified with, whatever replaces it.
    pub(crate) fn watched(&self) -> Arc<ArcSwap<Trust>> {
        Arc::clone(&self.current)
    }

    /// Verifies what clients present, by what is in use then.
    pub(crate) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::new(Chosen(Verifier::new(Arc::clone(&self.current))))
    }

    /// Says once a day that a revocation list ends soon, or has ended.
    pub(in crate::tls) fn warn_of_lists(&self) {
        let now = unix_seconds(SystemTime::now());
        let validity = self.current.load().list_validity;
        let due = validity.and_then(|validity| self.failure.expiry().due(validity, now));
        let Some(warning) = due else { return };
        let (client_crl, next_update) = (self.list_source(), warning.not_after());
        match warning.hours_left() {
            Some(hours_left) => {
                warn!(%client_crl, %next_update, hours_left, "revocation list ends soon");
            }
            None => {
                error!(%client_crl, %next_update, "revocation list out of date: the clients of its issuer are refused");
            }
        }
    }

    /// The file of the lists, or the agent that sent them.
    fn list_source(&self) -> Shown {
        let file = self.settings.crl.as_ref();
        Shown::path(file.unwrap_or(&self.settings.ca))
    }

    /// Reads and checks what the file holds, and uses it; whether it is something else.
    pub(crate) fn reread(&self) -> Result<bool, TrustError> {
        let texts = Texts::read(&self.settings)?;
        if self.current.load().is_of(&self.settings, &texts) {
            return Ok(false);
        }
        self.publish(Trust::from_texts(&self.settings, &texts)?);
        Ok(true)
    }

    /// Uses it, and no failure stands against it.
    pub(in crate::tls) fn succeed(&self, trust: Trust) {
        self.publish(trust);
        self.failure.forget();
    }

    pub(crate) fn publish(&self, trust: Trust) {
        self.current.store(Arc::new(trust));
        self.say_no_list_twice();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer,
        KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber,
    };
    use time::{Duration, OffsetDateTime};

    use super::*;
    use crate::tls::identity::Rules;
    use crate::tls::policy::Profile;
    use crate::tls::trust::{ClientAuth, Signatures};

    const DAY: i64 = 86_400;

    #[test]
    fn a_list_that_had_ended_when_it_was_read_is_said_once_a_day() {
        let (dir, now) = (tempfile::tempdir().unwrap(), OffsetDateTime::now_utc());
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let ca = dir.path().join("ca.crt");
        std::fs::write(&ca, params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, key);
        let crl = dir.path().join("clients.crl");
        let write = |next_update| {
            let list = CertificateRevocationListParams {
                this_update: next_update - Duration::days(2),
                next_update,
                crl_number: SerialNumber::from_slice(&[1]),
                issuing_distribution_point: None,
                revoked_certs: Vec::new(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            let list = list.signed_by(&issuer).unwrap();
            std::fs::write(&crl, list.pem().unwrap()).unwrap();
        };
        write(now - Duration::hours(1));
        let store = TrustStore::load(&Settings {
            mode: ClientAuth::Required,
            ca,
            crl: Some(crl.clone()),
            rules: Rules::default(),
            signatures: Signatures::Any,
            profile: Profile::Off,
        });
        let (store, now) = (store.unwrap(), now.unix_timestamp());
        assert_eq!(store.current().warnings().len(), 1);
        let due = |now| {
            let validity = store.current().list_validity.unwrap();
            store.failure.expiry().due(validity, now)
        };
        assert!(due(now + 60).is_none());
        assert!(due(now + DAY + 60).is_some());
        // The same when the reloader reads another one, and not of one that has yet to end.
        write(OffsetDateTime::now_utc() - Duration::minutes(30));
        assert!(store.reread().unwrap(), "the file is another one");
        assert!(due(now + 120).is_none());
        write(OffsetDateTime::now_utc() + Duration::minutes(30));
        assert!(store.reread().unwrap(), "the file is another one");
        assert!(store.current().warnings().is_empty());
        assert!(due(now + 180).is_some(), "ends soon");
    }
}
