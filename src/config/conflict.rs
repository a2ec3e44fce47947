//! What only shows when all listeners stand side by side: names and addresses; `circles` are what leads back.
//! Of files, only which Unix sockets are the same one is looked at.

use std::net::SocketAddr;
use std::path::Path;

use super::circles::{self, AdminPort, Egresses, Listeners};
use super::error::Error;
use super::file::Layers;
use super::key::Key;
use super::layer::Layer;
use super::settings::Config;
use crate::listener::{overlap, same_socket};

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
        circles::admin_stays_private(&admin, &listeners, &egresses)?;
    }
    paths(&egresses)?;
    circles::loops(&listeners)?;
    circles::spans_of_spans(config, &layers.process, &listeners)?;
    circles::egress_loops(&listeners, &egresses)
}

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
