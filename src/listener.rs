//! Bind and accept: addresses, back-off, the limit of connections.

use std::net::SocketAddr;

/// What one listener's socket side is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Label of metrics and log lines; unique.
    pub name: String,
    /// Addresses to bind, each exclusively (SO_REUSEPORT is never set).
    pub addresses: Vec<SocketAddr>,
    /// Connections open at once; more wait in the kernel's queue.
    pub max_connections: usize,
    /// Length of the kernel's queue of connections not yet accepted.
    pub backlog: i32,
}
