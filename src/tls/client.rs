//! TLS connections that we begin: verification, tickets, certificates of ours, and the handshake. Records
//! go the way of the server's side (`stream`).

mod cas;
mod chains;
mod error;
mod generation;
mod handshake;
mod sessions;
mod settings;
mod shown;
mod store;
mod verified;
mod verifier;

pub use self::cas::ClientTlsError;
pub use self::error::ClientError;
pub use self::handshake::{Counters, Failure, Peer, connect};
pub use self::settings::{CaSource, Settings};
pub use self::store::ClientTls;
pub use crate::tls::secrets::TicketCounters;

#[cfg(test)]
mod tests;
