//! Which clients with a certificate are connected: for the operator's status, never for metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::tls::identity::PeerIdentity;

/// The open connections of a listener, counted by client.
#[derive(Debug, Default)]
pub struct OpenPeers {
    open: Mutex<BTreeMap<Arc<str>, usize>>,
}

/// One open connection of a client, until dropped.
pub(super) struct OpenPeer {
    peers: Arc<OpenPeers>,
    name: Arc<str>,
}

impl OpenPeers {
    /// Counts a connection, under the name that the log gives the client too.
    pub(super) fn enter(self: &Arc<Self>, peer: &PeerIdentity) -> OpenPeer {
        let name: Arc<str> = peer.to_string().into();
        let mut open = self.open();
        // One name for all connections of a client.
        let known = open
            .get_key_value(&name)
            .map(|(known, _)| Arc::clone(known));
        let name = known.unwrap_or(name);
        *open.entry(Arc::clone(&name)).or_default() += 1;
        drop(open);
        OpenPeer {
            peers: Arc::clone(self),
            name,
        }
    }

    /// At most so many clients, those with the most connections first; and how many there are in all.
    pub fn listed(&self, most: usize) -> (Vec<(Arc<str>, usize)>, usize) {
        let open = self.open();
        let mut all: Vec<_> = open
            .iter()
            .map(|(name, count)| (Arc::clone(name), *count))
            .collect();
        drop(open);
        let count = all.len();
        all.sort_by_key(|(_, open)| std::cmp::Reverse(*open));
        all.truncate(most);
        (all, count)
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenPeer {
    fn drop(&mut self) {
        let mut open = self.peers.open();
        if let Some(count) = open.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(uri: &str) -> PeerIdentity {
        PeerIdentity {
            uris: vec![uri.to_owned()],
            sha256: "0123456789abcdef".to_owned(),
            ..PeerIdentity::default()
        }
    }

    #[test]
    fn connections_are_counted_by_client_until_they_end() {
        let peers = Arc::new(OpenPeers::default());
        let one = peers.enter(&peer("spiffe://a.org/x"));
        let more: Vec<_> = (0..2)
            .map(|_| peers.enter(&peer("spiffe://a.org/y")))
            .collect();
        let names = |most| {
            let (listed, count) = peers.listed(most);
            let listed = listed.iter().map(|(name, open)| format!("{open} {name}"));
            (listed.collect::<Vec<_>>().join(", "), count)
        };
        let both = "2 spiffe://a.org/y sha256:0123456789abcdef, 1 spiffe://a.org/x sha256:0123456789abcdef";
        assert_eq!(names(9), (both.to_owned(), 2));
        assert_eq!(
            names(1),
            ("2 spiffe://a.org/y sha256:0123456789abcdef".to_owned(), 2)
        );
        drop(more);
        assert_eq!(
            names(9),
            ("1 spiffe://a.org/x sha256:0123456789abcdef".to_owned(), 1)
        );
        drop(one);
        assert_eq!(names(9), (String::new(), 0));
    }
}
