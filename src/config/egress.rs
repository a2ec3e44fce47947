//! One egress: where apps connect, where that goes, and how the server is verified.

use std::path::PathBuf;

use super::destination::{self, wrong_target};
use super::egress_error::EgressError;
use super::egress_socket;
use super::error::Error;
use super::key::Key;
use super::layer::Layer;
use super::origin::Origin;
use super::resolve;
use super::settings::EgressConfig;
use super::value::{Located, Raw};
use crate::proxy::Protocol;
use crate::proxy::egress::{Destination, Settings};
use crate::proxy::server_name;
use crate::tls;
use crate::tls::client::CaSource;
use crate::tls::identity::Rules;

/// The word that stands for the host's own bundle of CAs.
const SYSTEM: &str = "system";

/// Flags and environment over the file: they describe one egress, or each of `--egress`.
pub(super) fn gather(
    given: Layer,
    entries: Option<(Origin, String)>,
    mut in_file: Vec<Layer>,
    path: &str,
) -> Result<Vec<Layer>, Error> {
    let first = given.keys().next();
    match (entries, in_file.len(), first) {
        (Some((origin, entries)), 0, _) => expand(&given, &origin, &entries),
        (Some((origin, _)), ..) => Err(Error::Excluded {
            at: origin,
            other: format!("the egresses of {path}"),
            remedy: "write an [[egress]] for each there",
        }),
        (None, _, None) => Ok(in_file),
        (None, 0, Some(_)) => Ok(vec![given]),
        (None, 1, Some(_)) => Ok(vec![given.layered_over(in_file.remove(0))]),
        (None, count, Some(key)) => Err(Error::ManyListeners {
            at: given.place(key),
            path: path.to_owned(),
            count,
        }),
    }
}

/// One egress for each entry of `--egress`, alike in everything else.
fn expand(shared: &Layer, origin: &Origin, entries: &str) -> Result<Vec<Layer>, Error> {
    for key in [Key::EgressListen, Key::EgressTarget, Key::EgressName] {
        if shared.explicit(key).is_some() {
            return Err(Error::Excluded {
                at: shared.place(key),
                other: origin.to_string(),
                remedy: "each entry names its own",
            });
        }
    }
    let one = |entry: &str| {
        let wrong = || {
            Error::from(EgressError::Entry {
                at: origin.clone(),
                written: entry.into(),
            })
        };
        let (listen, target) = entry.split_once("->").ok_or_else(wrong)?;
        let (name, listen) = listen.split_once('=').ok_or_else(wrong)?;
        let mut layer = shared.clone();
        for (key, text) in [
            (Key::EgressName, name),
            (Key::EgressListen, listen),
            (Key::EgressTarget, target),
        ] {
            let raw = Raw::Word(text.trim().to_owned());
            let origin = origin.clone();
            layer.insert(key, Located { raw, origin });
        }
        Ok(layer)
    };
    entries.split(',').map(str::trim).map(one).collect()
}

pub(super) fn resolve(layer: &Layer) -> Result<EgressConfig, Error> {
    let name = resolve::name(layer, Key::EgressName)?;
    let socket = egress_socket::resolve(layer, &name)?;
    let egress = settings(layer)?;
    egress_socket::of_protocol(layer, &socket, &egress)?;
    Ok(EgressConfig {
        socket,
        explicit_connections: layer.explicit(Key::EgressMaxConnections).is_some(),
        tls: tls(layer, &name)?,
        egress,
    })
}

fn settings(layer: &Layer) -> Result<Settings, Error> {
    let at = |key: Key, written: &str, problem| wrong_target(layer, key, written, problem);
    let name = layer.explicit(Key::EgressServerName);
    if name.is_some() && layer.explicit(Key::EgressPeerIds).is_some() {
        return Err(Error::Excluded {
            at: layer.place(Key::EgressServerName),
            other: "peer-ids".to_owned(),
            remedy: "the server is known by one of them; remove the other",
        });
    }
    let name = name.map(|given| given.text(Key::EgressServerName));
    let server_name = name.transpose()?.map(|written| {
        server_name(written).map_err(|problem| at(Key::EgressServerName, written, problem))
    });
    let destination = destination::resolve(layer)?;
    let protocol: Protocol = layer.choice(Key::EgressProtocol)?;
    of_protocol(layer, protocol, &destination)?;
    Ok(Settings {
        protocol,
        upstream_http: layer.choice(Key::EgressUpstreamHttp)?,
        destination,
        server_name: server_name.transpose()?,
        resolve_timeout: layer.duration(Key::EgressResolveTimeout)?,
        connect_timeout: layer.duration(Key::EgressConnectTimeout)?,
        idle_timeout: layer.timeout(Key::EgressIdleTimeout)?,
    })
}

/// Refuses what means nothing, or something else, for what the app speaks.
fn of_protocol(layer: &Layer, protocol: Protocol, to: &Destination) -> Result<(), Error> {
    let excluded = |key: Key, other: &str, remedy| Error::Excluded {
        at: layer.place(key),
        other: other.to_owned(),
        remedy,
    };
    let has = |key: Key| layer.explicit(key).is_some();
    if protocol == Protocol::Http {
        if matches!(to, Destination::Named(_)) {
            return Err(excluded(
                Key::EgressProtocol,
                "capture",
                "capture says what the app speaks; remove one of the two",
            ));
        }
        if has(Key::EgressAlpn) {
            return Err(excluded(
                Key::EgressAlpn,
                "protocol `http`",
                "ALPN offers the version of the request; choose it with upstream-http, or remove it",
            ));
        }
    } else if has(Key::EgressUpstreamHttp) {
        return Err(excluded(
            Key::EgressUpstreamHttp,
            "protocol `tcp`",
            "bytes are relayed as they are; write protocol = \"http\", or remove it",
        ));
    }
    Ok(())
}

fn tls(layer: &Layer, name: &str) -> Result<tls::client::Settings, Error> {
    let keys = [
        Key::EgressPolicy,
        Key::EgressGroups,
        Key::EgressCipherSuites,
    ];
    let ca = match layer.text(Key::EgressCa)?.as_str() {
        SYSTEM => CaSource::System,
        path => CaSource::File(path.into()),
    };
    let has = |key: Key| layer.explicit(key).is_some();
    let pair = if has(Key::EgressCert) || has(Key::EgressKey) {
        let cert = layer.text(Key::EgressCert).map(PathBuf::from)?;
        let key = layer.required(Key::EgressKey)?;
        Some((cert, key.text(Key::EgressKey)?.into()))
    } else {
        None
    };
    Ok(tls::client::Settings {
        policy: resolve::policy(layer, &format!("egress `{name}`"), keys)?,
        ca,
        peer_ids: peer_ids(layer)?,
        pair,
        alpn: alpn(layer)?,
        resumption: layer.switch(Key::EgressResumption)?,
        handshake_timeout: layer.duration(Key::EgressHandshakeTimeout)?,
    })
}

fn peer_ids(layer: &Layer) -> Result<Rules, Error> {
    let key = Key::EgressPeerIds;
    let mut rules = Rules::default();
    let Some(given) = layer.explicit(key) else {
        return Ok(rules);
    };
    for text in given.list(key)? {
        rules.add_uri(&text).map_err(|problem| Error::Rule {
            at: layer.place(key),
            written: text.as_str().into(),
            problem,
        })?;
    }
    if rules.is_empty() {
        return Err(Error::Refused {
            at: layer.place(key),
            problem: "an empty list matches no server: write an identity, or remove it",
        });
    }
    Ok(rules)
}

fn alpn(layer: &Layer) -> Result<Vec<String>, Error> {
    let key = Key::EgressAlpn;
    let Some(given) = layer.explicit(key) else {
        return Ok(Vec::new());
    };
    if layer.switch(Key::EgressTunnel)? {
        return Err(Error::Excluded {
            at: layer.place(key),
            other: "tunnel".to_owned(),
            remedy: "ALPN offers http/1.1, which the request to the far side needs; remove it",
        });
    }
    let names = given.list(key)?;
    if names.iter().any(|name| name.is_empty() || name.len() > 255) {
        return Err(Error::Refused {
            at: layer.place(key),
            problem: "a protocol's name has from 1 to 255 bytes (RFC 7301)",
        });
    }
    Ok(names)
}
