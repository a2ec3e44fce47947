//! Which addresses and ports of the pod a tunnel reaches.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::proxy::origin::Target;
use crate::proxy::settings::TunnelReach;

/// Ports of this process, which no tunnel leads to: listeners, egresses, the admin port, probes of the app.
#[derive(Debug, Default)]
pub struct OwnPorts(ArcSwap<BTreeSet<u16>>);

impl OwnPorts {
    /// These from now on.
    pub fn set(&self, ports: BTreeSet<u16>) {
        self.0.store(Arc::new(ports));
    }

    fn contains(&self, port: u16) -> bool {
        self.0.load().contains(&port)
    }
}

/// What a tunnel does not reach.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutOfReach {
    #[error("port {0} is not among tunnel-ports")]
    Port(u16),
    #[error("port {0} is the sidecar's own")]
    OwnPort(u16),
    #[error("{0} is no address of this pod: is the name, or the address, of another one in use?")]
    Address(SocketAddr),
}

impl TunnelReach {
    /// Where a connection to `target` goes, the first that accepts. What is written as an address has to be
    /// one of this pod, so that traffic for another pod is not taken in; names are the client's own.
    pub(super) fn addresses(
        &self,
        target: &Target,
        own: &OwnPorts,
        local: Option<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, OutOfReach> {
        let port = target.port();
        if own.contains(port) {
            return Err(OutOfReach::OwnPort(port));
        }
        if !self.ports.iter().any(|range| range.contains(port)) {
            return Err(OutOfReach::Port(port));
        }
        let all = self.addresses.iter();
        let all: Vec<_> = all.map(|ip| SocketAddr::new(*ip, port)).collect();
        let Some(named) = target.address() else {
            return Ok(all);
        };
        let ip = named.ip().to_canonical();
        if self.addresses.contains(&ip) {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        match local {
            Some(local) if local.ip().to_canonical() == ip => Ok(all),
            _ => Err(OutOfReach::Address(named)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_tunnel_leads_to_ports_of_this_pod_alone() {
        let own = OwnPorts::default();
        own.set(BTreeSet::from([15443, 9443]));
        let reach = TunnelReach {
            addresses: vec!["127.0.0.1".parse().unwrap(), "10.77.0.2".parse().unwrap()],
            ports: vec!["1024-65535".parse().unwrap()],
        };
        let only_loopback = TunnelReach {
            addresses: vec!["127.0.0.1".parse().unwrap()],
            ..reach.clone()
        };
        let local = Some("10.77.0.2:15443".parse().unwrap());
        for (reach, target, expected) in [
            (
                &reach,
                "rank-1.train:29500",
                Some("127.0.0.1:29500 10.77.0.2:29500"),
            ),
            (&reach, "10.77.0.2:29500", Some("10.77.0.2:29500")),
            (&reach, "[::ffff:10.77.0.2]:29500", Some("10.77.0.2:29500")),
            (&only_loopback, "10.77.0.2:29500", Some("127.0.0.1:29500")),
            (&reach, "10.77.0.3:29500", None),
            (&reach, "10.77.0.2:1023", None),
            (&reach, "rank-1.train:15443", None),
            (&reach, "127.0.0.1:9443", None),
        ] {
            let parsed: Target = target.parse().unwrap();
            let addresses = reach.addresses(&parsed, &own, local).ok();
            let listed = addresses.map(|all| {
                let all: Vec<_> = all.iter().map(ToString::to_string).collect();
                all.join(" ")
            });
            assert_eq!(listed.as_deref(), expected, "{target}");
        }
    }
}
