//! From a finished handshake to the upstream and back.
//!
//! In layers, each of which knows only those below it: [`connection`] (the spine), `downstream` (what
//! clients speak), `round_trip` and `tunnel`, `context`, `upstream`, `codec` (messages on the wire).

mod accepted;
mod access_log;
mod arrival;
mod codec;
mod connect;
pub mod connection;
mod context;
mod delivery;
mod downstream;
pub mod egress;
mod end;
pub mod error;
mod exchange;
mod failure_log;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod handshake_sample;
mod identity_fields;
mod local_reply;
mod observers;
mod open_peers;
mod origin;
mod pace;
pub(crate) mod plain_http;
mod port_tunnel;
mod ports;
mod preface;
mod request_log;
mod round_trip;
mod scheduler;
mod settings;
mod signed;
mod signed_response;
mod tunnel;
mod upstream;

pub use self::identity_fields::{IdentityField, IdentityFields};
pub use self::open_peers::OpenPeers;
pub use self::origin::{Target, TargetError, TargetSeen, TargetsSeen, server_name};
pub use self::port_tunnel::OwnPorts;
pub use self::ports::{PortRange, PortRangeError};
pub use self::request_log::{RequestField, RequestFields};
pub use self::settings::{
    ForwardedMode, Protocol, Settings, TunnelReach, UpstreamAddr, UpstreamHttp,
    UpstreamProxyProtocol,
};
pub use self::upstream::UpstreamPermits;
