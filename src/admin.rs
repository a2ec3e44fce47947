//! The plaintext port of the operator: probes, metrics, status.

use std::net::SocketAddr;

/// What the admin port is told.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Addresses to bind; empty: no admin port.
    pub addresses: Vec<SocketAddr>,
}
