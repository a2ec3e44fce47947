//! The PROXY protocol: how a proxy in front says whose connection it forwards, and how that is said to
//! an upstream. Pure.
//!
//! Source: HAProxy's `doc/proxy-protocol.txt`, versions 1 (text) and 2 (binary). Whether a header is
//! expected is decided by the address of the sender, never by its bytes: who could choose would choose
//! an address too.

mod binary;
mod crc32c;
mod error;
mod header;
mod network;
mod read;
mod text;
mod write;

pub use self::error::HeaderError;
pub use self::header::{Addresses, Header};
pub use self::network::{Network, NetworkError, Networks};
pub use self::read::read;
pub use self::write::{Certificate, Tls, write_binary, write_text};
