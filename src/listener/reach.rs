//! Which addresses meet: two that cannot both be bound, and one that leads to another.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;

/// Where the listeners of this process accept.
#[derive(Debug, Default)]
pub struct Accepting(ArcSwap<Vec<SocketAddr>>);

impl Accepting {
    /// There from now on.
    pub fn set(&self, addresses: Vec<SocketAddr>) {
        self.0.store(Arc::new(addresses));
    }

    /// Whether a connection to that address comes to one of them.
    pub fn meets(&self, to: SocketAddr) -> bool {
        self.0.load().iter().any(|listen| reaches(to, *listen))
    }

    /// The same of one that is made: a host connects to itself from the address that it connects to.
    pub fn is_at(&self, to: SocketAddr, from: SocketAddr) -> bool {
        let ours = to.ip().to_canonical() == from.ip().to_canonical();
        self.meets(to) || ours && self.0.load().iter().any(|listen| overlap(to, *listen))
    }
}

/// Whether the kernel would refuse to bind both. Port 0 is a fresh port each time.
pub(crate) fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() == other.port() && one.port() != 0 && (a == b || covers(a, b) || covers(b, a))
}

/// `[::]` is bound for IPv4 too.
fn covers(wildcard: IpAddr, ip: IpAddr) -> bool {
    wildcard.is_unspecified() && (wildcard.is_ipv6() || ip.is_ipv4())
}

/// A wildcard takes what is sent to loopback; whether it takes another address is for the host to know.
pub(crate) fn reaches(to: SocketAddr, listen: SocketAddr) -> bool {
    let same = to.ip().to_canonical() == listen.ip().to_canonical();
    overlap(to, listen) && (same || to.ip().is_loopback())
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
    fn a_connection_to_an_own_address_is_known_by_its_other_end() {
        let accepting = Accepting::default();
        let own = "10.0.0.5:8443".parse().unwrap();
        accepting.set(vec!["0.0.0.0:8443".parse().unwrap()]);
        assert!(accepting.meets("127.0.0.1:8443".parse().unwrap()) && !accepting.meets(own));
        assert!(accepting.is_at(own, "10.0.0.5:40000".parse().unwrap()));
        assert!(!accepting.is_at(own, "10.0.0.6:40000".parse().unwrap()));
        accepting.set(Vec::new());
        assert!(!accepting.is_at(own, "10.0.0.5:40000".parse().unwrap()));
    }

    #[test]
    fn a_remote_upstream_with_the_port_of_a_wildcard_is_no_loop() {
        let wildcard = "0.0.0.0:8000".parse().unwrap();
        assert!(!reaches("10.0.0.5:8000".parse().unwrap(), wildcard));
        assert!(reaches("127.0.0.9:8000".parse().unwrap(), wildcard));
    }
}
