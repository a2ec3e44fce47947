//! What leads back into this process: an upstream, a target or a collector that is one of its own ports.

use std::net::SocketAddr;

use super::egress_error::EgressError;
use super::error::Error;
use super::key::Key;
use super::layer::Layer;
use super::settings::{Config, EgressConfig, ListenerConfig};
use crate::listener::{reaches, same_socket};
use crate::proxy::UpstreamAddr;
use crate::proxy::egress::Destination;

pub(super) type Listeners<'a> = [(&'a ListenerConfig, &'a Layer)];
pub(super) type Egresses<'a> = [(&'a EgressConfig, &'a Layer)];

/// Addresses that only operators may reach.
pub(super) struct AdminPort<'a> {
    pub(super) addresses: &'a [SocketAddr],
    pub(super) shown: &'static str,
}

/// An upstream or target that is the admin port: a client of the listener would come to it from loopback,
/// where `POST /quit` is obeyed.
pub(super) fn admin_stays_private(
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

/// An upstream that is a listener.
pub(super) fn loops(listeners: &Listeners<'_>) -> Result<(), Error> {
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

/// A collector that is a listener: every export would be a request with a span of its own.
pub(super) fn spans_of_spans(
    config: &Config,
    process: &Layer,
    listeners: &Listeners<'_>,
) -> Result<(), Error> {
    let Some(traces) = &config.traces else {
        return Ok(());
    };
    for to in traces.endpoint.addresses() {
        for (listener, _) in listeners {
            let mut addresses = listener.socket.addresses.iter();
            if let Some(listen) = addresses.find(|listen| reaches(to, **listen)) {
                return Err(Error::Unusable {
                    at: process.place(Key::TracesEndpoint),
                    problem: format!(
                        "{} is an address that listener `{}` ({listen}) accepts on: each request with spans would make spans; name the collector itself",
                        traces.endpoint.origin(),
                        listener.socket.name
                    ),
                });
            }
        }
    }
    Ok(())
}

/// A target that is an egress, or a listener whose upstream is the egress: a circle. Names are looked at
/// when they are resolved.
pub(super) fn egress_loops(
    listeners: &Listeners<'_>,
    egresses: &Egresses<'_>,
) -> Result<(), Error> {
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
