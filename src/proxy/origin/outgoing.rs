//! Our own ends of connections whose handshake is under way. A rule that redirects the sidecar's own
//! connections to it would make a circle; what comes back is known by them.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Our own ends of connections whose handshake is under way.
#[derive(Debug, Default)]
pub(crate) struct Outgoing(Mutex<HashSet<SocketAddr>>);

/// One of them, until its handshake is over.
pub(super) struct Under<'a>(&'a Outgoing, SocketAddr);

impl Outgoing {
    pub(super) fn enter(&self, local: SocketAddr) -> Under<'_> {
        let local = canonical(local);
        self.lock().insert(local);
        Under(self, local)
    }

    /// Whether a client is ourselves.
    pub(crate) fn contains(&self, client: SocketAddr) -> bool {
        self.lock().contains(&canonical(client))
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Under<'_> {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_end_is_known_until_its_handshake_is_over() {
        let outgoing = Outgoing::default();
        let under = outgoing.enter("10.77.0.1:40000".parse().unwrap());
        assert!(outgoing.contains("[::ffff:10.77.0.1]:40000".parse().unwrap()));
        assert!(!outgoing.contains("10.77.0.1:40001".parse().unwrap()));
        drop(under);
        assert!(!outgoing.contains("10.77.0.1:40000".parse().unwrap()));
    }
}
