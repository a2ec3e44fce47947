//! Which sockets a configuration takes over and which it binds. A socket whose address stays is never
//! closed: what a client sends meanwhile waits in the kernel's queue.

use std::net::SocketAddr;

use super::error::Error;
use crate::listener::{self, Address, BindError, Bound, overlap, same_socket};

/// A socket of a listener that is about to start.
#[derive(Debug)]
pub(super) enum Wanted {
    /// Bound for it.
    New(Bound),
    /// One that runs and whose owner stops, by its address as bound.
    Held(Address),
}

/// Sockets whose owners stop or change.
#[derive(Debug, Default)]
pub(super) struct Free(Vec<Socket>);

#[derive(Debug)]
struct Socket {
    owner: String,
    asked: Address,
    bound: Address,
}

impl Free {
    /// The sockets of one owner.
    pub(super) fn add(&mut self, owner: &str, sockets: &[(Address, Address)]) {
        let sockets = sockets.iter();
        self.0.extend(sockets.map(|(asked, bound)| Socket {
            owner: owner.to_owned(),
            asked: asked.clone(),
            bound: bound.clone(),
        }));
    }

    /// A socket for each address.
    pub(super) fn sockets(&mut self, settings: &listener::Settings) -> Result<Vec<Wanted>, Error> {
        let mut wanted = Vec::new();
        for address in settings.all() {
            wanted.push(match self.take(&settings.name, &address) {
                Some(bound) => Wanted::Held(bound),
                None => Wanted::New(self.bind(settings, &address)?),
            });
        }
        Ok(wanted)
    }

    /// The one with that address, a former one of the same name first. "Any port" is nobody else's.
    fn take(&mut self, name: &str, address: &Address) -> Option<Address> {
        let is_fixed = address.ip().is_none_or(|address| address.port() != 0);
        let has_it = |socket: &Socket| match (&socket.asked, address) {
            (Address::Unix(asked), Address::Unix(path)) => same_socket(asked, path),
            (asked, address) => asked == address,
        };
        let own = |socket: &Socket| has_it(socket) && socket.owner == name;
        let other = |socket: &Socket| has_it(socket) && is_fixed;
        let index = self.0.iter().position(own);
        let index = index.or_else(|| self.0.iter().position(other))?;
        Some(self.0.swap_remove(index).bound)
    }

    fn bind(&self, settings: &listener::Settings, address: &Address) -> Result<Bound, Error> {
        let meets = |held: &Address| match (held.ip(), address.ip()) {
            (Some(held), Some(address)) => overlap(held, address),
            _ => false,
        };
        let refused = |error| {
            let held = self.0.iter().find(|held| meets(&held.bound));
            match (held, error) {
                (Some(held), BindError::InUse { listener, .. }) => Error::Held {
                    listener,
                    address: address.clone(),
                    owner: held.owner.clone(),
                    held: held.bound.clone(),
                },
                (_, error) => error.into(),
            }
        };
        Bound::bind(settings, address).map_err(refused)
    }
}

/// The addresses of TCP as bound.
pub(super) fn addresses(sockets: &[Wanted]) -> Vec<SocketAddr> {
    let address = |socket: &Wanted| match socket {
        Wanted::New(bound) => bound.address()?.ip(),
        Wanted::Held(bound) => bound.ip(),
    };
    sockets.iter().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn settings(name: &str, addresses: &[SocketAddr]) -> listener::Settings {
        listener::Settings {
            name: name.to_owned(),
            setting: "--listen",
            addresses: addresses.to_vec(),
            unix: listener::UnixSockets::default(),
            max_connections: 1,
            loopback_connections: None,
            backlog: 1,
        }
    }

    #[tokio::test]
    async fn a_socket_goes_to_its_address_and_any_port_to_its_own_name() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let fixed: SocketAddr = "127.0.0.1:4001".parse().unwrap();
        let bound: SocketAddr = "127.0.0.1:4002".parse().unwrap();
        let mut free = Free::default();
        free.add(
            "one",
            &[(any.into(), bound.into()), (fixed.into(), fixed.into())],
        );
        // The fixed one moves to another name; "any port" is bound anew for it.
        let other = free.sockets(&settings("other", &[fixed, any])).unwrap();
        assert!(
            matches!(&other[0], Wanted::Held(held) if *held == Address::Ip(fixed)),
            "{other:?}"
        );
        assert!(matches!(other[1], Wanted::New(_)), "{other:?}");
        let own = free.sockets(&settings("one", &[any])).unwrap();
        assert_eq!(addresses(&own), [bound]);
    }

    #[tokio::test]
    async fn an_address_that_overlaps_one_in_use_says_whose_it_is() {
        let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let held = held.local_addr().map(|at| (held, at)).unwrap();
        let mut free = Free::default();
        free.add("old", &[(held.1.into(), held.1.into())]);
        let all: SocketAddr = ([0, 0, 0, 0], held.1.port()).into();
        let refused = free.sockets(&settings("new", &[all])).unwrap_err();
        let message = refused.to_string();
        assert!(
            message.contains("`old`") && message.contains("restart"),
            "{message}"
        );
    }

    #[tokio::test]
    async fn a_unix_socket_goes_to_whoever_has_its_path_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let unix = listener::UnixSockets {
            paths: vec![path.clone()],
            ..listener::UnixSockets::default()
        };
        let settings = listener::Settings {
            unix,
            ..settings("other", &[])
        };
        let mut free = Free::default();
        free.add("one", &[(Address::Unix(path.clone()), Address::Unix(path))]);
        let wanted = free.sockets(&settings).unwrap();
        assert!(matches!(wanted[..], [Wanted::Held(_)]), "{wanted:?}");
        assert!(addresses(&wanted).is_empty());
    }
}
