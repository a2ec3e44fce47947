//! One layer of texts into the settings of each part: the place where every value is read.

use std::path::{Path, PathBuf};

use super::address::{self, AddressError, Clients};
use super::environment::Environment;
use super::error::Error;
use super::key::Key;
use super::layer::Layer;
use super::neighbours;
use super::settings::ListenerConfig;
use super::{certificates, client_auth, profile, signature, spiffe, tunnel};
use crate::probes::ProbeTable;
use crate::proxy::{Protocol, UpstreamAddr};
use crate::redact::Secret;
use crate::tls::policy::{Group, Mode, PolicyError, Suite, TlsPolicy, UnknownName};
use crate::{admin, census, drain, listener, proxy, tls};

pub(super) fn workers(layer: &Layer) -> Result<usize, Error> {
    match layer.explicit(Key::Workers) {
        Some(given) => given.count(Key::Workers),
        // Affinity mask and cgroup quota (v1 and v2), rounded down, at least one.
        None => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
    }
}

pub(super) fn admin(layer: &Layer, pod_ips: Option<&str>) -> Result<admin::Settings, Error> {
    let items = layer.list(Key::Admin)?;
    let refused = |problem| at(layer, Key::Admin, problem);
    let addresses = if items == ["none"] {
        Vec::new()
    } else {
        if let [word] = items.as_slice() {
            address::as_none(word).map_err(refused)?;
        }
        address::listening(&items, pod_ips, Clients::Host).map_err(refused)?
    };
    Ok(admin::Settings { addresses })
}

pub(super) fn probes(layer: &Layer) -> Result<Option<String>, Error> {
    let Some(given) = layer.explicit(Key::Probes) else {
        return Ok(None);
    };
    let text = given.text(Key::Probes)?;
    // Read here, so that `check` refuses what `run` would.
    match ProbeTable::from_json(text) {
        Ok(_) => Ok(Some(text.to_owned())),
        Err(problem) => Err(Error::Unusable {
            at: layer.place(Key::Probes),
            problem: problem.to_string(),
        }),
    }
}

pub(super) fn drain(layer: &Layer) -> Result<drain::Settings, Error> {
    Ok(drain::Settings {
        delay: layer.duration(Key::DrainDelay)?,
        timeout: layer.duration(Key::DrainTimeout)?,
    })
}

pub(super) fn listener(layer: &Layer, environment: &Environment) -> Result<ListenerConfig, Error> {
    let pod_ips = environment.pod_ips();
    let layer = &profile::apply(layer)?;
    let name = name(layer, Key::Name)?;
    let socket = socket(layer, &name, pod_ips)?;
    let proxy = proxy(layer, &name, pod_ips)?;
    let tls = tls(layer, &name, environment)?;
    profile::check(layer, &tls, &proxy)?;
    if proxy.protocol == Protocol::Tunnel {
        tunnel::check(layer, &tls)?;
    }
    Ok(ListenerConfig {
        socket,
        explicit_connections: layer.explicit(Key::MaxConnections).is_some(),
        proxy,
        signature: signature::resolve(layer)?,
        responses: signature::responses(layer)?,
        tls,
        census: census::Settings {
            size: layer.count(Key::CensusSize)?,
            addresses: layer.choice(Key::CensusAddresses)?,
            window: layer.duration(Key::CensusWindow)?,
        },
    })
}

pub(super) fn name(layer: &Layer, key: Key) -> Result<String, Error> {
    let name = layer.text(key)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.len() > 63 || !name.chars().all(allowed) {
        return Err(Error::Refused {
            at: layer.place(key),
            problem: "a name is a metric label: use at most 63 letters, digits, `-`, `_` and `.`",
        });
    }
    if name == admin::NAME {
        return Err(Error::Refused {
            at: layer.place(key),
            problem: "the admin port has this name in metrics and logs: choose another one",
        });
    }
    if Secret::of(&name).is_some() {
        return Err(Error::Refused {
            at: layer.place(key),
            problem: "a name appears in metrics and logs, and this one looks like a piece of a key: choose words",
        });
    }
    Ok(name)
}

fn socket(layer: &Layer, name: &str, pod_ips: Option<&str>) -> Result<listener::Settings, Error> {
    let items = layer.list(Key::Listen)?;
    Ok(listener::Settings {
        name: name.to_owned(),
        setting: "--listen (listener.listen)",
        addresses: address::listening(&items, pod_ips, Clients::Network)
            .map_err(|problem| at(layer, Key::Listen, problem))?,
        unix: listener::UnixSockets::default(),
        max_connections: layer.count(Key::MaxConnections)?,
        loopback_connections: None,
        backlog: layer.count::<u16>(Key::Backlog)?.into(),
    })
}

fn tls(layer: &Layer, name: &str, environment: &Environment) -> Result<tls::Settings, Error> {
    let spiffe = spiffe::resolve(layer, environment)?;
    let agent = spiffe.as_deref().map(spiffe::name);
    let file = |key| agent.clone().map_or_else(|| file(layer, key), Ok);
    Ok(tls::Settings {
        profile: layer.choice(Key::Profile)?,
        policy: policy(
            layer,
            &format!("listener `{name}`"),
            [Key::Policy, Key::Groups, Key::CipherSuites],
        )?,
        cert: file(Key::Cert)?,
        key: key(layer, agent.as_deref())?,
        certificates: certificates::resolve(layer)?,
        spiffe_hint: spiffe::hint(layer, spiffe.as_deref())?,
        wait_for_certificate: layer.switch(Key::WaitForCertificate)?,
        handshake_timeout: layer.duration(Key::HandshakeTimeout)?,
        max_handshakes: layer.count(Key::MaxHandshakes)?,
        handshake_rate_per_source: Some(layer.count(Key::HandshakeRatePerSource)?)
            .filter(|rate| *rate > 0),
        tickets: neighbours::tickets(layer)?,
        ticket_keys: ticket_keys(layer)?,
        client_auth: client_auth::resolve(layer, agent.as_deref())?,
        spiffe,
    })
}

fn proxy(layer: &Layer, name: &str, pod_ips: Option<&str>) -> Result<proxy::Settings, Error> {
    let protocol: Protocol = layer.choice(Key::Protocol)?;
    if protocol != Protocol::Http {
        refuse_http_settings(layer, name, protocol)?;
    }
    let upstream = if protocol == Protocol::Tunnel {
        UpstreamAddr::Tunnel(tunnel::reach(layer, pod_ips)?)
    } else {
        tunnel::refuse_the_rest(layer)?;
        upstream(layer)?
    };
    Ok(proxy::Settings {
        protocol,
        upstream,
        upstream_http: layer.choice(Key::UpstreamHttp)?,
        connect_timeout: layer.duration(Key::ConnectTimeout)?,
        upstream_idle_timeout: layer.duration(Key::UpstreamIdleTimeout)?,
        max_idle_upstreams: layer.count(Key::MaxIdleUpstreams)?,
        head_timeout: layer.duration(Key::HeadTimeout)?,
        keep_alive_timeout: layer.timeout(Key::KeepAliveTimeout)?,
        idle_timeout: layer.timeout(Key::IdleTimeout)?,
        client_timeout: layer.timeout(Key::ClientTimeout)?,
        max_head_bytes: layer.size(Key::MaxHead)?,
        max_headers: layer.count(Key::MaxHeaders)?,
        max_streams: layer.count(Key::MaxStreams)?,
        forwarded: layer.choice(Key::Forwarded)?,
        identity: neighbours::identity(layer)?,
        access_log: neighbours::access_log(layer)?,
        stream_metrics: layer.switch(Key::StreamMetrics)?,
        proxy_protocol_from: neighbours::proxy_protocol_from(layer)?,
        upstream_proxy_protocol: neighbours::upstream_proxy_protocol(layer, protocol)?,
    })
}

fn refuse_http_settings(layer: &Layer, name: &str, protocol: Protocol) -> Result<(), Error> {
    let applies = |key| key == Key::HeadTimeout && protocol == Protocol::Tunnel;
    let mut of_http = layer.keys().filter(|key| key.is_of_http());
    match of_http.find(|key| !applies(*key)) {
        None => Ok(()),
        Some(key) => Err(Error::HttpOnly {
            at: layer.place(key),
            protocol: protocol.name(),
            listener: name.to_owned(),
        }),
    }
}

fn upstream(layer: &Layer) -> Result<UpstreamAddr, Error> {
    let text = layer.text(Key::Upstream)?;
    let upstream = address::upstream(&text).map_err(|problem| at(layer, Key::Upstream, problem))?;
    let remote = matches!(&upstream, UpstreamAddr::Tcp(address) if !address.ip().is_loopback());
    let insisted = layer.switch(Key::UnsafeRemoteUpstream)?;
    if remote && !insisted {
        return Err(Error::RemoteUpstream {
            at: layer.place(Key::Upstream),
            upstream: upstream.to_string(),
        });
    }
    Ok(upstream)
}

/// The policy; `keys` are those of mode, groups and suites.
pub(super) fn policy(layer: &Layer, owner: &str, keys: [Key; 3]) -> Result<TlsPolicy, Error> {
    let [mode_key, groups_key, suites_key] = keys;
    let at = |key| {
        move |problem: PolicyError| Error::Policy {
            at: layer.place(key),
            owner: owner.into(),
            problem,
        }
    };
    let mode =
        Mode::parse(&layer.text(mode_key)?).map_err(|unknown| at(mode_key)(unknown.into()))?;
    let groups = names(layer, groups_key)?
        .map(|list| list.iter().map(|name| Group::parse(name)).collect())
        .transpose()
        .map_err(|unknown: UnknownName| at(groups_key)(unknown.into()))?;
    let suites = names(layer, suites_key)?
        .map(|list| list.iter().map(|name| Suite::parse(name)).collect())
        .transpose()
        .map_err(|unknown: UnknownName| at(suites_key)(unknown.into()))?;
    let groups: Option<Vec<Group>> = groups;
    let suites: Option<Vec<Suite>> = suites;
    TlsPolicy::new(mode, groups.as_deref(), suites.as_deref()).map_err(|problem| {
        let key = match problem {
            PolicyError::NoSuites => suites_key,
            _ => groups_key,
        };
        at(key)(problem)
    })
}

fn ticket_keys(layer: &Layer) -> Result<Option<PathBuf>, Error> {
    let Some(given) = layer.explicit(Key::TicketKeys) else {
        return Ok(None);
    };
    if neighbours::identity(layer)?.needs_certificate() {
        return Err(Error::Excluded {
            at: layer.place(Key::TicketKeys),
            other: "identity `client-cert`".to_owned(),
            remedy: "there are no tickets then, because none holds the certificate; remove one of the two",
        });
    }
    if layer.count::<usize>(Key::Tickets)? == 0 {
        return Err(Error::Excluded {
            at: layer.place(Key::TicketKeys),
            other: "tickets = 0".to_owned(),
            remedy: "there are no tickets to have keys for; remove one of the two",
        });
    }
    given.text(Key::TicketKeys).map(|path| Some(path.into()))
}

/// The list of a key, if somebody wrote one.
fn names(layer: &Layer, key: Key) -> Result<Option<Vec<String>>, Error> {
    layer.explicit(key).map(|given| given.list(key)).transpose()
}

/// The file of the private key, or the URI of one in a token.
fn key(layer: &Layer, agent: Option<&Path>) -> Result<PathBuf, Error> {
    match agent {
        Some(agent) => Ok(agent.to_owned()),
        None => layer
            .required(Key::PrivateKey)?
            .private_key(Key::PrivateKey),
    }
}

fn file(layer: &Layer, key: Key) -> Result<PathBuf, Error> {
    layer.text(key).map(PathBuf::from)
}

fn at(layer: &Layer, key: Key, problem: AddressError) -> Error {
    Error::Address {
        at: layer.place(key),
        problem,
    }
}
