#![allow(clippy::unwrap_used)]
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use time::OffsetDateTime;

use super::super::session::tests::text;
use super::*;
use crate::tls::identity::Rules;
use crate::tls::trust::{ClientAuth, Settings, TrustStore};

const NOW: u64 = 1_800_000_000;

/// A CA, in a file, and who trusts it.
struct World {
    _dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
    store: TrustStore,
}

impl World {
    fn new(mode: ClientAuth) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            mode,
            ca: dir.path().join("ca.crt"),
            crl: None,
            rules: Rules::any(),
            signatures: crate::tls::trust::Signatures::Any,
            profile: crate::tls::policy::Profile::Off,
        };
        let issuer = ca(&settings);
        Self {
            store: TrustStore::load(&settings).unwrap(),
            _dir: dir,
            issuer,
        }
    }

    /// Others take its place.
    fn replace(&self) {
        ca(self.store.settings());
        assert!(self.store.reread().unwrap());
    }

    fn ticketer(&self) -> Ticketer {
        let keys = KeySource::Local(LocalKeys::new().unwrap());
        Ticketer::new("a", keys, Some(self.store.watched())).unwrap()
    }

    /// A session of a client whose certificate ends then.
    fn session(&self, end: u64) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.not_after = OffsetDateTime::from_unix_timestamp(end.cast_signed()).unwrap();
        let key = KeyPair::generate().unwrap();
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        let length = |length: usize| (length as u32).to_be_bytes()[1..].to_vec();
        text(&[&[1][..], &length(der.len() + 3), &length(der.len()), &der].concat())
    }

    /// As the verifier does.
    fn verifies(&self) {
        Noted::default().restore();
        Noted::set_verified_by(&self.store.current());
    }
}

fn ca(settings: &Settings) -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    std::fs::write(&settings.ca, params.self_signed(&key).unwrap().pem()).unwrap();
    Issuer::new(params, key)
}

#[test]
fn who_was_verified_by_former_cas_gets_no_ticket_of_the_new_ones() {
    let world = World::new(ClientAuth::Required);
    let ticketer = world.ticketer();
    let session = world.session(NOW + 600);
    Noted::default().restore();
    assert_eq!(
        ticketer.encrypt_at(&session, NOW),
        None,
        "verified by nothing"
    );
    world.verifies();
    let ticket = ticketer.encrypt_at(&session, NOW).unwrap();
    world.replace();
    assert_eq!(ticketer.encrypt_at(&session, NOW), None);
    assert_eq!(ticketer.decrypt_at(&ticket, NOW), None);
    world.verifies();
    assert!(ticketer.encrypt_at(&session, NOW).is_some());
}

#[test]
fn a_resumed_session_ends_when_the_first_would_have() {
    let world = World::new(ClientAuth::Required);
    let ticketer = world.ticketer();
    for (end, ends) in [(NOW + 600, 600), (NOW + 2 * LIFETIME, LIFETIME)] {
        world.verifies();
        let mut ticket = ticketer.encrypt_at(&world.session(end), NOW).unwrap();
        for later in [1, ends / 2, ends - 1] {
            Noted::default().restore();
            let session = ticketer.decrypt_at(&ticket, NOW + later).unwrap();
            let certificates = Session::parse(&session).unwrap().certificates;
            let facts = Facts::decode(certificates[0]).unwrap();
            assert_eq!(facts.expires, NOW + ends);
            assert_eq!(facts.peer.not_after, end.cast_signed());
            ticket = ticketer.encrypt_at(&session, NOW + later).unwrap();
        }
        assert_eq!(ticketer.decrypt_at(&ticket, NOW + ends), None);
    }
}

#[test]
fn a_session_without_a_certificate_is_no_way_in_where_one_is_required() {
    let anonymous = text(&[0]);
    for (mode, opens) in [(ClientAuth::Required, false), (ClientAuth::Optional, true)] {
        let ticketer = World::new(mode).ticketer();
        let ticket = ticketer.encrypt_at(&anonymous, NOW).unwrap();
        let session = ticketer.decrypt_at(&ticket, NOW);
        assert_eq!(session, opens.then(|| anonymous.clone()), "{mode:?}");
    }
}

#[test]
fn a_ticket_ends_and_clocks_of_replicas_may_differ() {
    let keys = KeySource::Local(LocalKeys::new().unwrap());
    let ticketer = Ticketer::new("a", keys, None).unwrap();
    let session = text(&[0]);
    let ticket = ticketer.encrypt_at(&session, NOW).unwrap();
    for (at, opens) in [
        (NOW - SKEW - 1, false),
        (NOW - SKEW, true),
        (NOW, true),
        (NOW + LIFETIME - 1, true),
        (NOW + LIFETIME, false),
    ] {
        assert_eq!(ticketer.decrypt_at(&ticket, at).is_some(), opens, "{at}");
    }
    // A certificate where nobody is asked for one is not what we know of sessions.
    let certificate = World::new(ClientAuth::Optional).session(NOW + 600);
    assert_eq!(ticketer.encrypt_at(&certificate, NOW), None);
}
