//! What only shows when all listeners stand side by side: names, addresses, loops. Of files, only which Unix
//! sockets are the same one is looked at.

use std::net::SocketAddr;
use std::path::Path;

use super::egress_error::EgressError;
use super::error::Error;
use super::file::Layers;
use super::key::Key;
use super::layer::Layer;
use super::settings::{Config, EgressConfig, ListenerConfig};
use crate::listener::{overlap, reaches, same_socket};
use crate::proxy::UpstreamAddr;
use crate::proxy::egress::Destination;

/// Refuses what cannot stand together. `running` are the addresses of an admin port that stays whatever
/// `config` says of it.
pub(super) fn check(
    config: &Config,
    layers: &Layers,
    running: Option<&[SocketAddr]>,
) -> Result<(), Error> {
    let listeners: Vec<_> = config.listeners.iter().zip(&layers.listeners).collect();
    let egresses: Vec<_> = config.egresses.iter().zip(&layers.egresses).collect();
    names(&listeners, &egresses)?;
    let written = AdminPort {
        addresses: &config.admin.addresses,
        shown: "the admin port",
    };
    let running = running.map(|addresses| AdminPort {
        addresses,
        shown: "the running admin port, which stays until the process starts anew",
    });
    // Each by itself: the two may overlap.
    for admin in [Some(written), running].into_iter().flatten() {
        addresses(&admin, &layers.process, &listeners, &egresses)?;
        admin_stays_private(&admin, &listeners, &egresses)?;
    }
    paths(&egresses)?;
    loops(&listeners)?;
    egress_loops(&listeners, &egresses)
}

/// Addresses that only operators may reach.
struct AdminPort<'a> {
    addresses: &'a [SocketAddr],
    shown: &'static str,
}

type Listeners<'a> = [(&'a ListenerConfig, &'a Layer)];
type Egresses<'a> = [(&'a EgressConfig, &'a Layer)];

fn names(listeners: &Listeners<'_>, egresses: &Egresses<'_>) -> Result<(), Error> {
    let of_listeners = listeners.iter();
    let of_listeners = of_listeners.map(|(one, layer)| (&one.socket.name, *layer, Key::Name));
    let of_egresses = egresses.iter();
    let of_egresses = of_egresses.map(|(one, layer)| (&one.socket.name, *layer, Key::EgressName));
    let mut taken: Vec<&String> = Vec::new();
    for (name, layer, key) in of_listeners.chain(of_egresses) {
        let (count, remedy) = match key {
            Key::Name => (
                listeners.len(),
                "with several listeners each needs a name of its own",
            ),
            _ => (
                egresses.len(),
                "with several egresses each needs a name of its own",
            ),
        };
        if count > 1 && layer.explicit(key).is_none() {
            return Err(Error::Missing {
                at: layer.place(key),
                remedy,
            });
        }
        if taken.contains(&name) {
            return Err(Error::NameTaken {
                at: layer.place(key),
                name: name.as_str().into(),
            });
        }
        taken.push(name);
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

fn addresses(
    admin: &AdminPort<'_>,
    process: &Layer,
    listeners: &Listeners<'_>,
    egresses: &Egresses<'_>,
) -> Result<(), Error> {
    let mut taken: Vec<Claim<'_>> = Vec::new();
    for claim in claims(admin, process, listeners, egresses) {
        if let Some(other) = taken
            .iter()
            .find(|other| overlap(other.address, claim.address))
        {
            if claim.owner == other.owner && claim.address == other.address {
                return Err(Error::Unusable {
                    at: claim.layer.place(claim.key),
                    problem: format!("{} is listed twice: remove one", claim.address),
                });
            }
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

/// Two Unix sockets of one path: the second would not be bound.
fn paths(egresses: &Egresses<'_>) -> Result<(), Error> {
    let mut taken: Vec<(&Path, &str)> = Vec::new();
    for (egress, layer) in egresses {
        let name = egress.socket.name.as_str();
        for path in &egress.socket.unix.paths {
            let at = layer.place(Key::EgressListen);
            let shown = path.display();
            match taken.iter().find(|(other, _)| same_socket(other, path)) {
                Some((_, other)) if *other == name => {
                    return Err(Error::Unusable {
                        at,
                        problem: format!("unix:{shown} stands twice in the list: remove one"),
                    });
                }
                Some((_, other)) => {
                    return Err(Error::Unusable {
                        at,
                        problem: format!(
                            "unix:{shown} is also taken by egress `{other}`: give each its own path"
                        ),
                    });
                }
                None => taken.push((path.as_path(), name)),
            }
        }
    }
    Ok(())
}

/// The listeners' sockets, the egresses', then the admin port's.
fn claims<'a>(
    admin: &'a AdminPort<'_>,
    process: &'a Layer,
    listeners: &'a Listeners<'_>,
    egresses: &'a Egresses<'_>,
) -> Vec<Claim<'a>> {
    let of_listeners = listeners.iter().flat_map(|(listener, layer)| {
        listener.socket.addresses.iter().map(|address| Claim {
            address: *address,
            owner: format!("listener `{}`", listener.socket.name),
            key: Key::Listen,
            layer,
        })
    });
    let of_egresses = egresses.iter().flat_map(|(egress, layer)| {
        egress.socket.addresses.iter().map(|address| Claim {
            address: *address,
            owner: format!("egress `{}`", egress.socket.name),
            key: Key::EgressListen,
            layer,
        })
    });
    let of_admin = admin.addresses.iter().map(|address| Claim {
        address: *address,
        owner: admin.shown.to_owned(),
        key: Key::Admin,
        layer: process,
    });
    of_listeners.chain(of_egresses).chain(of_admin).collect()
}

/// An upstream or target that is the admin port: a client of the listener would come to it from loopback,
/// where `POST /quit` is obeyed.
fn admin_stays_private(
    admin: &AdminPort<'_>,
    listeners: &Listeners<'_>,
    egresses: &Egresses<'_>,
) -> Result<(), Error> {
    let of_listeners = listeners.iter().filter_map(|(listener, layer)| {
        let UpstreamAddr::Tcp(upstream) = listener.proxy.upstream else {
            return None;
        };
        Some((upstream, *layer, Key::Upstream))
    });
    let of_egresses = egresses.iter().filter_map(|(egress, layer)| {
        let Destination::Target(target) = &egress.egress.destination else {
            return None;
        };
        Some((target.address()?, *layer, Key::EgressTarget))
    });
    for (to, layer, key) in of_listeners.chain(of_egresses) {
        let mut addresses = admin.addresses.iter();
        if let Some(listen) = addresses.find(|listen| reaches(to, **listen)) {
            return Err(Error::LeadsToAdmin {
                at: layer.place(key),
                to: to.to_string(),
                admin: format!("{} ({listen})", admin.shown),
            });
        }
    }
    Ok(())
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

/// A target that is an egress, or a listener whose upstream is the egress: a circle. Names are looked at
/// when they are resolved.
fn egress_loops(listeners: &Listeners<'_>, egresses: &Egresses<'_>) -> Result<(), Error> {
    for (egress, layer) in egresses {
        let Destination::Target(target) = &egress.egress.destination else {
            continue;
        };
        let Some(target) = target.address() else {
            continue;
        };
        let accepts = |addresses: &[SocketAddr]| {
            let mut addresses = addresses.iter();
            addresses.find(|listen| reaches(target, **listen)).copied()
        };
        let circle = |owner: String| {
            Error::from(EgressError::Circle {
                at: layer.place(Key::EgressTarget),
                target: target.to_string(),
                owner,
            })
        };
        for (other, _) in egresses {
            if let Some(listen) = accepts(&other.socket.addresses) {
                let name = &other.socket.name;
                return Err(circle(format!("egress `{name}` ({listen})")));
            }
        }
        for (listener, _) in listeners {
            let mut ours = egress.socket.addresses.iter();
            let leads_here = match &listener.proxy.upstream {
                UpstreamAddr::Tcp(upstream) => ours.any(|listen| reaches(*upstream, *listen)),
                UpstreamAddr::Unix(path) => {
                    let mut ours = egress.socket.unix.paths.iter();
                    ours.any(|bound| same_socket(path, bound))
                }
                UpstreamAddr::Tunnel(_) => false,
            };
            if leads_here && let Some(listen) = accepts(&listener.socket.addresses) {
                let name = &listener.socket.name;
                return Err(circle(format!(
                    "listener `{name}` ({listen}), whose upstream is this egress,"
                )));
            }
        }
    }
    Ok(())
}
