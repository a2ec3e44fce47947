//! One bound address: how it is bound, and what it keeps when its listener's settings change.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use rustix::net::listen;
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};

use super::Settings;
use super::address::{Address, NO_ADDRESS};
use super::unix::UnixSocket;
use crate::io::keepalive;

/// An address that cannot be bound.
#[derive(Debug, Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error(
        "listener `{listener}`: {address} is in use by another process: stop it, or choose another address with {setting}"
    )]
    InUse {
        /// The listener's name.
        listener: String,
        /// The address.
        address: Address,
        /// Where the address was given.
        setting: &'static str,
    },
    /// Any other refusal of the kernel.
    #[error("listener `{listener}`: cannot bind {address}: {source}")]
    Other {
        /// The listener's name.
        listener: String,
        /// The address.
        address: Address,
        /// What the kernel said.
        source: io::Error,
    },
}

/// A socket that listens.
#[derive(Debug)]
pub struct Bound {
    /// As the settings write it; port 0 stays 0.
    pub(super) asked: Address,
    pub(super) socket: ListenSocket,
    /// Accepted on it, and not yet served: they come first, with the next owner of the socket too.
    pub(super) waiting: Vec<(TcpStream, SocketAddr)>,
}

#[derive(Debug)]
pub(super) enum ListenSocket {
    Tcp(TcpListener),
    Unix(UnixSocket),
}

impl Bound {
    /// Binds one address of a listener; needs a runtime.
    pub fn bind(settings: &Settings, address: &Address) -> Result<Self, BindError> {
        let bound = match address {
            Address::Ip(address) => listening(*address, settings.backlog).map(ListenSocket::Tcp),
            Address::Unix(path) => {
                UnixSocket::bind(path, settings.unix.mode, settings.backlog).map(ListenSocket::Unix)
            }
        };
        let bound = bound.map_err(|source| {
            let (listener, address) = (settings.name.clone(), address.clone());
            match source.kind() {
                io::ErrorKind::AddrInUse => BindError::InUse {
                    listener,
                    address,
                    setting: settings.setting,
                },
                _ => BindError::Other {
                    listener,
                    address,
                    source,
                },
            }
        });
        Ok(Self {
            asked: address.clone(),
            socket: bound?,
            waiting: Vec::new(),
        })
    }

    /// As the settings write it.
    pub fn asked(&self) -> &Address {
        &self.asked
    }

    /// As bound: port 0 has become a real one.
    pub fn address(&self) -> Option<Address> {
        match &self.socket {
            ListenSocket::Tcp(socket) => socket.local_addr().ok().map(Address::Ip),
            ListenSocket::Unix(socket) => Some(Address::Unix(socket.path().to_owned())),
        }
    }

    /// Another length of the kernel's queue, in which connections stay (listen(2) once more), and another
    /// mode of its file. One whose file is gone, or another's, is bound anew: nobody reaches it any more.
    pub fn follow(&mut self, settings: &Settings) -> io::Result<()> {
        let (mode, backlog) = (settings.unix.mode, settings.backlog);
        match &mut self.socket {
            ListenSocket::Tcp(socket) => Ok(listen(socket, backlog)?),
            ListenSocket::Unix(socket) if socket.has_its_path() => {
                socket.set_mode(mode)?;
                socket.set_backlog(backlog)
            }
            ListenSocket::Unix(socket) => {
                *socket = UnixSocket::bind(socket.path(), mode, backlog)?;
                Ok(())
            }
        }
    }

    /// Whether clients find the socket: the file of a Unix socket may have been removed.
    pub fn is_reachable(&self) -> bool {
        match &self.socket {
            ListenSocket::Tcp(_) => true,
            ListenSocket::Unix(socket) => socket.has_its_path(),
        }
    }

    /// Takes over what another one accepted, of a socket that nobody goes on with.
    pub fn take_waiting(&mut self, other: &mut Self) {
        self.waiting.append(&mut other.waiting);
    }

    /// The next connection and its other end.
    pub(super) fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        if let Some(waiting) = self.waiting.pop() {
            return Poll::Ready(Ok(waiting));
        }
        match &self.socket {
            ListenSocket::Tcp(socket) => socket.poll_accept(cx),
            ListenSocket::Unix(socket) => {
                let accepted = socket.poll_accept(cx);
                accepted.map_ok(|stream| (stream, NO_ADDRESS))
            }
        }
    }
}

fn listening(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // The unspecified IPv6 address serves IPv4 too, whatever the host's default says.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit these on Linux, which saves their system calls.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&keepalive())?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    TcpListener::from_std(socket.into())
}
