//! One bound address: how it is bound, and what it keeps when its listener's settings change.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::net::listen;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use thiserror::Error;
use tokio::net::TcpListener;

use super::Settings;

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
        address: SocketAddr,
        /// Where the address was given.
        setting: &'static str,
    },
    /// Any other refusal of the kernel.
    #[error("listener `{listener}`: cannot bind {address}: {source}")]
    Other {
        /// The listener's name.
        listener: String,
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
}

/// When TCP begins to ask a silent peer whether it is there, how often, and how many times.
const KEEPALIVE_AFTER: Duration = Duration::from_mins(1);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);
const KEEPALIVE_TIMES: u32 = 4;

/// A socket that listens.
#[derive(Debug)]
pub struct Bound {
    /// As the settings write it; port 0 stays 0.
    pub(super) asked: SocketAddr,
    pub(super) socket: TcpListener,
}

impl Bound {
    /// Binds one address of a listener; needs a runtime.
    pub fn bind(settings: &Settings, address: SocketAddr) -> Result<Self, BindError> {
        let bound = listening(address, settings.backlog).map_err(|source| {
            let listener = settings.name.clone();
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
            asked: address,
            socket: bound?,
        })
    }

    /// As the settings write it.
    pub fn asked(&self) -> SocketAddr {
        self.asked
    }

    /// As bound: port 0 has become a real one.
    pub fn address(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }

    /// Another length of the kernel's queue; connections in it stay (listen(2) once more).
    pub fn set_backlog(&self, backlog: i32) -> io::Result<()> {
        Ok(listen(&self.socket, backlog)?)
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
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_EVERY)
        .with_retries(KEEPALIVE_TIMES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    TcpListener::from_std(socket.into())
}
