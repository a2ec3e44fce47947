//! What only shows when all listeners stand side by side: names, addresses, loops. Pure.

use std::net::{IpAddr, SocketAddr};

use super::error::Error;
use super::key::Key;
use super::layer::Layer;
use super::settings::{Config, ListenerConfig};
use crate::proxy::UpstreamAddr;

/// Refuses what cannot stand together. `layers` are those of the listeners, in their order.
pub(super) fn check(config: &Config, process: &Layer, layers: &[Layer]) -> Result<(), Error> {
    let listeners: Vec<_> = config.listeners.iter().zip(layers).collect();
    names(&listeners)?;
    addresses(config, process, &listeners)?;
    loops(&listeners)
}

type Listeners<'a> = [(&'a ListenerConfig, &'a Layer)];

fn names(listeners: &Listeners<'_>) -> Result<(), Error> {
    for (index, (listener, layer)) in listeners.iter().enumerate() {
        let name = &listener.socket.name;
        if listeners.len() > 1 && layer.explicit(Key::Name).is_none() {
            return Err(Error::Missing {
                at: layer.place(Key::Name),
                remedy: "with several listeners each needs a name of its own",
            });
        }
        if listeners[..index]
            .iter()
            .any(|(other, _)| other.socket.name == *name)
        {
            return Err(Error::NameTaken {
                at: layer.place(Key::Name),
                name: name.as_str().into(),
            });
        }
    }
    Ok(())
}

/// A socket and who wants it.
struct Claim<'a> {
    address: SocketAddr,
    owner: String,
    key: Key,
    layer: &'a Layer,
}

fn addresses(config: &Config, process: &Layer, listeners: &Listeners<'_>) -> Result<(), Error> {
    let mut taken: Vec<Claim<'_>> = Vec::new();
    for claim in claims(config, process, listeners) {
        if let Some(other) = taken
            .iter()
            .find(|other| overlap(other.address, claim.address))
        {
            return Err(Error::AddressTaken {
                at: claim.layer.place(claim.key),
                claim: format!("{} of {}", claim.address, claim.owner),
                other: format!("{} ({})", other.owner, other.address),
            });
        }
        taken.push(claim);
    }
    Ok(())
}

/// The listeners' sockets, then the admin port's.
fn claims<'a>(
    config: &'a Config,
    process: &'a Layer,
    listeners: &'a Listeners<'_>,
) -> Vec<Claim<'a>> {
    let of_listeners = listeners.iter().flat_map(|(listener, layer)| {
        listener.socket.addresses.iter().map(|address| Claim {
            address: *address,
            owner: format!("listener `{}`", listener.socket.name),
            key: Key::Listen,
            layer,
        })
    });
    let of_admin = config.admin.addresses.iter().map(|address| Claim {
        address: *address,
        owner: "the admin port".to_owned(),
        key: Key::Admin,
        layer: process,
    });
    of_listeners.chain(of_admin).collect()
}

/// Whether the kernel would refuse to bind both. Port 0 is a fresh port each time.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() == other.port() && one.port() != 0 && (a == b || covers(a, b) || covers(b, a))
}

/// `[::]` is bound for IPv4 too.
fn covers(wildcard: IpAddr, ip: IpAddr) -> bool {
    wildcard.is_unspecified() && (wildcard.is_ipv6() || ip.is_ipv4())
}

fn loops(listeners: &Listeners<'_>) -> Result<(), Error> {
    for (listener, layer) in listeners {
        let UpstreamAddr::Tcp(upstream) = listener.proxy.upstream else {
            continue;
        };
        for (other, _) in listeners {
            let hit = other
                .socket
                .addresses
                .iter()
                .find(|listen| reaches(upstream, **listen));
            if let Some(listen) = hit {
                return Err(Error::CallsItself {
                    at: layer.place(Key::Upstream),
                    upstream: upstream.to_string(),
                    listener: format!("listener `{}` ({listen})", other.socket.name),
                });
            }
        }
    }
    Ok(())
}

/// A wildcard takes what is sent to loopback; whether it takes another address is for the host to know.
fn reaches(upstream: SocketAddr, listen: SocketAddr) -> bool {
    let same = upstream.ip().to_canonical() == listen.ip().to_canonical();
    overlap(upstream, listen) && (same || upstream.ip().is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sockets_overlap_as_the_kernel_sees_it() {
        for (one, other, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("[::]:80", "127.0.0.1:80", true),
            ("[::]:80", "0.0.0.0:80", true),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80", true),
            ("0.0.0.0:0", "0.0.0.0:0", false),
        ] {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(overlap(one, other), expected, "{one} {other}");
            assert_eq!(overlap(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn a_remote_upstream_with_the_port_of_a_wildcard_is_no_loop() {
        let wildcard = "0.0.0.0:8000".parse().unwrap();
        assert!(!reaches("10.0.0.5:8000".parse().unwrap(), wildcard));
        assert!(reaches("127.0.0.9:8000".parse().unwrap(), wildcard));
    }
}
