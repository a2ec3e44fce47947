//! How a configuration stands to a profile: one row for each requirement of each listener and egress.

use std::collections::BTreeSet;

use rustls::pki_types::CertificateDer;

use super::Error;
use super::egress::client_tls;
use super::loading::{certificates, trust};
use crate::config::{Config, EgressConfig, ListenerConfig};
use crate::proxy::UpstreamAddr;
use crate::tls;
use crate::tls::credentials::Link;
use crate::tls::policy::{Profile, Requirement, TlsPolicy};
use crate::tls::trust::TrustStore;

/// One requirement of one listener.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What is asked for.
    pub requirement: Requirement,
    /// What there is.
    pub found: String,
    /// Whether that is the same.
    pub passed: bool,
}

/// One listener.
pub struct ProfileCheck {
    /// Its name.
    pub listener: String,
    /// In the order of the profile.
    pub findings: Vec<Finding>,
    /// The certificates that it shows, in DER.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// Checks every listener, with its files as they are now, then every egress.
pub fn check_profile(config: &Config, profile: Profile) -> Result<Vec<ProfileCheck>, Error> {
    let listeners = config.listeners.iter();
    let listeners = listeners.map(|listener| check_listener(listener, profile));
    let egresses = config.egresses.iter();
    let egresses = egresses.map(|egress| check_egress(egress, profile));
    listeners.chain(egresses).collect()
}

/// What servers present is seen in their handshakes and held to no profile: an egress cannot pass.
fn check_egress(egress: &EgressConfig, profile: Profile) -> Result<ProfileCheck, Error> {
    let certificates = client_tls(egress)?.certificates();
    let tls = &egress.tls;
    let check = |requirement: Requirement| match requirement {
        Requirement::TlsVersion => ("TLS 1.3".to_owned(), true),
        Requirement::EarlyData => ("none: it is not implemented".to_owned(), true),
        Requirement::KeyExchange => groups(&tls.policy, profile),
        Requirement::CipherSuite => suites(&tls.policy, profile),
        Requirement::ServerKey | Requirement::ServerChain => {
            let found = "an egress does not hold what servers present to a profile";
            (found.to_owned(), false)
        }
        Requirement::ClientCertificates => {
            let found = "an egress does not hold its own certificate to a profile";
            (found.to_owned(), false)
        }
        Requirement::Resumption => (format!("resumption = {}", tls.resumption), !tls.resumption),
        Requirement::Upstream => {
            let mut addresses = egress.socket.addresses.iter();
            let local = addresses.all(|address| address.ip().is_loopback());
            let all: Vec<_> = egress.socket.all().collect();
            (format!("plaintext in at {all:?}"), local)
        }
    };
    Ok(ProfileCheck {
        listener: egress.socket.name.clone(),
        findings: findings(profile, check),
        certificates,
    })
}

/// A row for each requirement: what `check` finds, and whether that is what is asked for.
fn findings(profile: Profile, check: impl Fn(Requirement) -> (String, bool)) -> Vec<Finding> {
    let requirements = profile.requirements().iter();
    let rows = requirements.map(|requirement| {
        let (found, passed) = check(*requirement);
        Finding {
            requirement: *requirement,
            found,
            passed,
        }
    });
    rows.collect()
}

fn groups(policy: &TlsPolicy, profile: Profile) -> (String, bool) {
    let groups = policy.groups().iter();
    listed(groups.map(|group| (group.name().to_owned(), profile.admits_group(*group))))
}

fn suites(policy: &TlsPolicy, profile: Profile) -> (String, bool) {
    let suites = policy.suites().iter();
    listed(suites.map(|suite| (suite.name().to_owned(), profile.admits_suite(*suite))))
}

fn check_listener(listener: &ListenerConfig, profile: Profile) -> Result<ProfileCheck, Error> {
    let name = &listener.socket.name;
    let tls = &listener.tls;
    let set = certificates(name, tls)?;
    let pairs: Vec<_> = set.stores().filter_map(|store| store.current()).collect();
    let links = pairs.iter().flat_map(|pair| &pair.facts().chain);
    let links: Vec<&Link> = links.collect();
    let trusted = trust(name, tls)?;
    // Whatever an agent gives is held to the profile of the listener.
    let of_agent = tls.spiffe.is_some();
    let check = |requirement: Requirement| match requirement {
        Requirement::TlsVersion => ("TLS 1.3".to_owned(), true),
        Requirement::EarlyData => ("none: it is not implemented".to_owned(), true),
        Requirement::KeyExchange => groups(&tls.policy, profile),
        Requirement::CipherSuite => suites(&tls.policy, profile),
        Requirement::ServerKey | Requirement::ServerChain | Requirement::ClientCertificates
            if of_agent =>
        {
            let held = profile.is_kept_by(tls.profile);
            let found = format!(
                "from the Workload API, under profile `{}`",
                tls.profile.name()
            );
            (found, held)
        }
        Requirement::ServerKey => listed(pairs.iter().map(|pair| {
            let key = pair.facts().key_algorithm.clone();
            let passed = profile.admits_key(&key);
            (key, passed)
        })),
        Requirement::ServerChain => listed(links.iter().map(|link| {
            let passed = profile.admits_key(&link.key) && profile.admits_signature(&link.signature);
            (
                format!("{} signed with {}", link.key, link.signature),
                passed,
            )
        })),
        Requirement::ClientCertificates => clients(tls, trusted.as_ref(), profile),
        Requirement::Resumption => (format!("tickets = {}", tls.tickets), tls.tickets == 0),
        Requirement::Upstream => {
            let upstream = &listener.proxy.upstream;
            let remote = matches!(upstream, UpstreamAddr::Tcp(to) if !to.ip().is_loopback());
            (upstream.to_string(), !remote)
        }
    };
    Ok(ProfileCheck {
        listener: name.clone(),
        findings: findings(profile, check),
        certificates: pairs
            .iter()
            .flat_map(|pair| pair.certified_key().cert.clone())
            .collect(),
    })
}

/// Which keys count in what clients present.
fn clients(tls: &tls::Settings, trusted: Option<&TrustStore>, profile: Profile) -> (String, bool) {
    let (Some(settings), Some(trusted)) = (&tls.client_auth, trusted) else {
        return ("clients are not asked for any".to_owned(), true);
    };
    let current = trusted.current();
    let keys = current.ca_keys().iter();
    let (cas, passed) = listed(keys.map(|key| (key.clone(), profile.admits_key(key))));
    let signatures: &str = settings.signatures.into();
    let name = settings.profile.name();
    let found = format!("CAs {cas}; signatures `{signatures}` under profile `{name}`");
    (found, passed && profile.is_kept_by(settings.profile))
}

/// The different ones in words, and whether there are some and all pass.
fn listed(items: impl Iterator<Item = (String, bool)>) -> (String, bool) {
    let mut seen = BTreeSet::new();
    let mut words = Vec::new();
    let mut passed = true;
    for (word, passes) in items {
        passed &= passes;
        if seen.insert(word.clone()) {
            words.push(word);
        }
    }
    (words.join(", "), passed && !words.is_empty())
}
