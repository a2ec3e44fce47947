//! `profile`: sets what nobody wrote, and refuses what contradicts it, naming the rule.

use super::error::Error;
use super::key::Key;
use super::layer::Layer;
use super::origin::Origin;
use super::value::{Located, Raw};
use crate::proxy::{self, UpstreamAddr};
use crate::tls;
use crate::tls::policy::{Mode, Profile, Requirement};
use crate::tls::trust::{ClientAuth, Signatures};

/// The layer with what the profile sets where nobody wrote anything.
pub(super) fn apply(layer: &Layer) -> Result<Layer, Error> {
    let profile: Profile = layer.choice(Key::Profile)?;
    let Some(mode) = profile.mode() else {
        return Ok(layer.clone());
    };
    let groups = profile.groups().iter().map(|group| group.name());
    let suites = profile.suites().iter().map(|suite| suite.name());
    let set = [
        (Key::Policy, mode.name().to_owned()),
        (Key::Groups, groups.collect::<Vec<_>>().join(",")),
        (Key::CipherSuites, suites.collect::<Vec<_>>().join(",")),
    ];
    let tickets = (!profile.admits_tickets()).then(|| (Key::Tickets, "0".to_owned()));
    let asks = layer.choice::<ClientAuth>(Key::ClientAuth)? != ClientAuth::Off;
    let signatures =
        (asks && profile == Profile::Cnsa2).then(|| (Key::Signatures, "pq-required".to_owned()));
    // A policy of another kind could not agree with the groups: it is what has to be named.
    if let Some(written) = layer.explicit(Key::Policy)
        && let Ok(mode) = Mode::parse(written.text(Key::Policy)?)
        && !profile.admits_mode(mode)
    {
        return Err(contradiction(
            layer,
            Key::Policy,
            profile,
            Requirement::KeyExchange,
        ));
    }
    if !profile.admits_tickets() && layer.explicit(Key::TicketKeys).is_some() {
        return Err(contradiction(
            layer,
            Key::TicketKeys,
            profile,
            Requirement::Resumption,
        ));
    }
    let mut whole = layer.clone();
    for (key, text) in set.into_iter().chain(tickets).chain(signatures) {
        if layer.explicit(key).is_none() {
            let raw = Raw::Word(text);
            let origin = Origin::Default;
            whole.insert(key, Located { raw, origin });
        }
    }
    Ok(whole)
}

/// Refuses a listener that does not keep to its profile. Its files are checked when they are read.
pub(super) fn check(
    layer: &Layer,
    tls: &tls::Settings,
    proxy: &proxy::Settings,
) -> Result<(), Error> {
    let profile = tls.profile;
    let refused = |key, rule| Err(contradiction(layer, key, profile, rule));
    let policy = &tls.policy;
    if !policy
        .groups()
        .iter()
        .all(|group| profile.admits_group(*group))
    {
        return refused(Key::Groups, Requirement::KeyExchange);
    }
    if !policy
        .suites()
        .iter()
        .all(|suite| profile.admits_suite(*suite))
    {
        return refused(Key::CipherSuites, Requirement::CipherSuite);
    }
    if tls.tickets > 0 && !profile.admits_tickets() {
        return refused(Key::Tickets, Requirement::Resumption);
    }
    let signatures = tls.client_auth.as_ref().map(|settings| settings.signatures);
    if profile == Profile::Cnsa2 && signatures.is_some_and(|mode| mode != Signatures::PqRequired) {
        return refused(Key::Signatures, Requirement::ClientCertificates);
    }
    let remote = matches!(proxy.upstream, UpstreamAddr::Tcp(to) if !to.ip().is_loopback());
    if remote && profile != Profile::Off {
        return refused(Key::Upstream, Requirement::Upstream);
    }
    Ok(())
}

fn contradiction(layer: &Layer, key: Key, profile: Profile, rule: Requirement) -> Error {
    Error::Profile {
        at: layer.place(key),
        profile,
        rule,
    }
}
