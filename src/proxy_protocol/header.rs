//! What a header says, in either version.

use std::net::SocketAddr;

/// A whole header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// The bytes it takes; what follows is the connection's own.
    pub length: usize,
    /// Whose connection it is. `None`: of the proxy itself (a health check), or of no TCP connection.
    pub addresses: Option<Addresses>,
}

/// The two ends of a TCP connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Addresses {
    /// The client.
    pub source: SocketAddr,
    /// Where it connected to.
    pub destination: SocketAddr,
}

impl Addresses {
    /// IPv4 addresses in IPv6 notation become IPv4 addresses.
    pub fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        let canonical =
            |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        Self {
            source: canonical(source),
            destination: canonical(destination),
        }
    }
}

/// Whether the bytes, as far as they have arrived, begin as `start` does.
pub(super) fn begins(bytes: &[u8], start: &[u8]) -> bool {
    bytes
        .iter()
        .zip(start)
        .all(|(given, wanted)| given == wanted)
}
