//! What ends an exchange before its end.

use crate::proxy::codec::message::MessageError;
use crate::proxy::error::Outcome;

/// How an exchange broke.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The client's side.
    Client(MessageError),
    /// The upstream's side.
    Upstream(MessageError),
    /// The upstream takes no more of a tunnel, of which the client has everything, with its end.
    Untaken,
    /// Neither side said anything for the configured time.
    Idle,
    /// The client alone was waited for, and its connection had to make room.
    Shed,
    /// The client alone was waited for, for the configured time.
    Timeout,
}

impl Broken {
    /// The outcome of a connection that had nothing but this exchange.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Client(_) => Outcome::ClientGone,
            Self::Upstream(_) | Self::Untaken => Outcome::UpstreamBroken,
            Self::Idle => Outcome::IdleTimeout,
            Self::Shed => Outcome::Shed,
            Self::Timeout => Outcome::Timeout,
        }
    }
}
