//! A connection on its way from a listener to the worker that serves it.

use std::net::SocketAddr;
use std::time::Instant;

use crate::listener::Permit;
use crate::worker::Share;

/// A connection that was accepted and not yet looked at.
pub struct Accepted<IO> {
    /// The socket.
    pub io: IO,
    /// The other end.
    pub client: SocketAddr,
    /// Its permit of the listener, and its share of the worker's work.
    pub permit: (Permit, Share),
    /// When it was accepted.
    pub at: Instant,
}

impl<IO> Accepted<IO> {
    /// The same connection with another handle of its socket.
    pub fn try_map<T, E>(self, map: impl FnOnce(IO) -> Result<T, E>) -> Result<Accepted<T>, E> {
        Ok(Accepted {
            io: map(self.io)?,
            client: self.client,
            permit: self.permit,
            at: self.at,
        })
    }
}
