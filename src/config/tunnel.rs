//! The far end of a tunnel: what clients reach by it, and that somebody named them.

use std::net::IpAddr;

use super::address;
use super::error::Error;
use super::key::Key;
use super::layer::Layer;
use crate::proxy::{PortRange, TunnelReach};
use crate::redact::Shown;
use crate::tls;
use crate::tls::trust::ClientAuth;

/// What clients reach.
pub(super) fn reach(layer: &Layer, pod_ips: Option<&str>) -> Result<TunnelReach, Error> {
    let no_upstream = [
        Key::Upstream,
        Key::UnsafeRemoteUpstream,
        Key::UpstreamProxyProtocol,
    ];
    if let Some(key) = no_upstream
        .into_iter()
        .find(|key| layer.explicit(*key).is_some())
    {
        return Err(Error::Excluded {
            at: layer.place(key),
            other: "protocol `tunnel`".to_owned(),
            remedy: "each client names a port of this pod; write tunnel-to and tunnel-ports, or remove it",
        });
    }
    Ok(TunnelReach {
        addresses: addresses(layer, pod_ips)?,
        ports: ports(layer)?,
    })
}

fn addresses(layer: &Layer, pod_ips: Option<&str>) -> Result<Vec<IpAddr>, Error> {
    let key = Key::TunnelTo;
    let written = layer.list(key)?;
    let addresses = address::hosts(&written, pod_ips).map_err(|problem| Error::Address {
        at: layer.place(key),
        problem,
    })?;
    let refused = |problem| Error::Refused {
        at: layer.place(key),
        problem,
    };
    if addresses.is_empty() {
        return Err(refused(
            "an empty list leads nowhere: write 127.0.0.1 or $POD_IPS",
        ));
    }
    let mut found = Vec::new();
    for ip in addresses {
        let ip = ip.to_canonical();
        if ip.is_unspecified() || ip.is_multicast() {
            return Err(refused(
                "connections need an address of one host: write 127.0.0.1 or $POD_IPS",
            ));
        }
        if !found.contains(&ip) {
            found.push(ip);
        }
    }
    Ok(found)
}

fn ports(layer: &Layer) -> Result<Vec<PortRange>, Error> {
    let key = Key::TunnelPorts;
    let written = layer.list(key)?;
    let ports = written.iter().map(|text| {
        text.parse().map_err(|problem| Error::Unusable {
            at: layer.place(key),
            problem: format!("`{}` {problem}", Shown::from(text.as_str())),
        })
    });
    let ports: Vec<_> = ports.collect::<Result<_, _>>()?;
    if ports.is_empty() {
        return Err(Error::Refused {
            at: layer.place(key),
            problem: "an empty list leads nowhere: write ports such as 29500 or 1024-65535",
        });
    }
    Ok(ports)
}

/// Refuses what only a tunnel has.
pub(super) fn refuse_the_rest(layer: &Layer) -> Result<(), Error> {
    let only = [Key::TunnelTo, Key::TunnelPorts, Key::UnsafeOpenTunnel];
    match only.into_iter().find(|key| layer.explicit(*key).is_some()) {
        None => Ok(()),
        Some(key) => Err(Error::Excluded {
            at: layer.place(key),
            other: "a protocol that is not `tunnel`".to_owned(),
            remedy: "connections go to upstream; write protocol = \"tunnel\", or remove it",
        }),
    }
}

/// A tunnel is a way into the pod from elsewhere: clients prove who they are, and somebody named them.
pub(super) fn check(layer: &Layer, tls: &tls::Settings) -> Result<(), Error> {
    let insisted = layer.switch(Key::UnsafeOpenTunnel)?;
    if !is_open(tls) {
        if !insisted {
            return Ok(());
        }
        return Err(Error::Excluded {
            at: layer.place(Key::UnsafeOpenTunnel),
            other: "allow rules".to_owned(),
            remedy: "the tunnel is not open then; remove it",
        });
    }
    if insisted {
        return Ok(());
    }
    let required = |auth: &&tls::trust::Settings| auth.mode == ClientAuth::Required;
    let (key, problem) = match tls.client_auth.as_ref().filter(required) {
        None => (
            Key::ClientAuth,
            "a tunnel leads to ports of this pod, and here it needs no certificate: write client-auth = \"required\" with client-ca and allow-uri, or accept that with unsafe-open-tunnel (--unsafe-open-tunnel)",
        ),
        Some(_) => (
            Key::AllowAny,
            "a tunnel leads to ports of this pod, and here everyone client-ca certifies gets in: name the peers with allow-uri, or accept that with unsafe-open-tunnel (--unsafe-open-tunnel)",
        ),
    };
    Err(Error::Refused {
        at: layer.place(key),
        problem,
    })
}

/// Whether only `unsafe-open-tunnel` permits it.
pub(super) fn is_open(tls: &tls::Settings) -> bool {
    let auth = tls.client_auth.as_ref();
    auth.is_none_or(|auth| auth.mode != ClientAuth::Required || auth.rules.is_any())
}
