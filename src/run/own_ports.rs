//! What no tunnel leads to: the ports of this process, and those of the app's probes. And where no spans go.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::base::Base;
use super::sides::Sides;
use crate::config::Config;
use crate::probes::ProbeTable;

/// Starts what a plan starts. No tunnel leads to a port of it, from before it is bound on.
pub(super) fn refused_while(
    base: &Base,
    (config, probes): (&Config, &ProbeTable),
    (sides, admin): (&mut Sides, &[SocketAddr]),
    start: impl FnOnce(&mut Sides),
) {
    let (own, written) = (&base.own_ports, written(config, probes));
    own.set(&written | &bound(sides, admin));
    start(sides);
    own.set(&written | &bound(sides, admin));
    base.accepting.set(sides.of_listeners().copied().collect());
}

/// The ports of everything that a configuration opens, as it writes them, and of the app's probes.
fn written(config: &Config, probes: &ProbeTable) -> BTreeSet<u16> {
    let listeners = config.listeners.iter().map(|listener| &listener.socket);
    let egresses = config.egresses.iter().map(|egress| &egress.socket);
    let sockets = listeners.chain(egresses);
    let addresses = sockets.flat_map(|socket| &socket.addresses);
    let addresses = addresses.chain(&config.admin.addresses);
    let probes = probes.probes().iter().map(|probe| probe.port);
    addresses.map(SocketAddr::port).chain(probes).collect()
}

/// And those that are bound: port 0 has become a real one.
fn bound(sides: &Sides, admin: &[SocketAddr]) -> BTreeSet<u16> {
    let all = sides.all_addresses().chain(admin);
    all.map(SocketAddr::port).collect()
}
