//! From a finished handshake to the upstream and back.
//!
//! In layers, each of which knows only those below it: [`connection`] (the spine), `downstream` (what
//! clients speak), `round_trip` and `tunnel`, `context`, `upstream`, `codec` (messages on the wire).

mod accepted;
mod access_log;
mod arrival;
mod codec;
pub mod connection;
mod context;
mod downstream;
mod end;
pub mod error;
mod exchange;
mod failure_log;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod identity_fields;
mod local_reply;
mod open_peers;
pub(crate) mod plain_http;
mod preface;
mod round_trip;
mod scheduler;
mod settings;
mod tunnel;
mod upstream;

pub use self::identity_fields::{IdentityField, IdentityFields};
pub use self::open_peers::OpenPeers;
pub use self::settings::{
    ForwardedMode, Protocol, Settings, UpstreamAddr, UpstreamHttp, UpstreamProxyProtocol,
};
pub use self::upstream::UpstreamPermits;
