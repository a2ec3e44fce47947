//! A server somewhere else: its name becomes addresses, one of them a connection, that a TLS stream.

mod connect;
mod error;
mod kept;
mod lookups;
mod outgoing;
mod resolve;
mod seen;
mod stream;
mod target;

pub(crate) use self::connect::{Connected, HTTP1, HTTP2, Origin};
pub(crate) use self::error::OriginError;
pub(crate) use self::kept::KeptStream;
pub(crate) use self::lookups::Lookups;
pub(crate) use self::outgoing::Outgoing;
pub use self::seen::{TargetSeen, TargetsSeen};
pub(crate) use self::stream::ServerStream;
pub use self::target::{Target, TargetError, server_name};
