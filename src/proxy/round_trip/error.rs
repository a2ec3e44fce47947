//! What comes instead of a response head.

use crate::proxy::codec::message::{FramingError, MessageError};
use crate::proxy::context::Context;
use crate::proxy::error::UpstreamError;
use crate::proxy::exchange::Broken;
use crate::proxy::failure_log::{BAD_BODY, NO_REQUEST};
use crate::proxy::local_reply::LocalReply;
use crate::proxy::signed::bad_digest;
use crate::signature::Refusal;

/// What came instead of a response head.
pub(crate) enum RoundTripError {
    /// The client went away.
    Client,
    /// The client's body broke its framing.
    BadBody,
    /// The client's body is not the one it signed.
    BadDigest,
    /// The connection had to make room while the client's body was waited for.
    Shed,
    /// The client's body did not come in time.
    ClientTimeout,
    /// There is no memory for the client's trailers.
    Memory,
    /// The upstream failed.
    Upstream(UpstreamError),
}

impl RoundTripError {
    /// What the client gets instead, counted and logged; nothing if it is gone.
    pub(crate) fn into_reply(self, context: &Context) -> Option<LocalReply> {
        let refused = |reply: LocalReply, reason| {
            context.body_refused(reason, reply.status());
            Some(reply)
        };
        match self {
            Self::Client => None,
            Self::BadBody => refused(LocalReply::BadBody, BAD_BODY),
            Self::Shed => refused(
                LocalReply::Shed,
                "nothing came of the body, and the listener is full",
            ),
            Self::ClientTimeout => refused(
                LocalReply::ClientTimeout,
                "nothing came of the body for client-timeout",
            ),
            Self::Memory => {
                let reply = LocalReply::Overloaded;
                context.overloaded(NO_REQUEST, reply.status());
                Some(reply)
            }
            Self::BadDigest => {
                bad_digest(context);
                Some(LocalReply::Signature(Refusal::Digest))
            }
            Self::Upstream(error) => {
                context.upstream_failed(&error);
                Some(LocalReply::from(&error))
            }
        }
    }
}

impl From<UpstreamError> for RoundTripError {
    fn from(error: UpstreamError) -> Self {
        Self::Upstream(error)
    }
}

impl From<Broken> for RoundTripError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Client(MessageError::Framing(FramingError::Digest)) => Self::BadDigest,
            Broken::Client(MessageError::Framing(_)) => Self::BadBody,
            Broken::Client(MessageError::Memory) => Self::Memory,
            Broken::Client(_) => Self::Client,
            Broken::Upstream(_) | Broken::Untaken => Self::Upstream(UpstreamError::Closed),
            Broken::Shed => Self::Shed,
            Broken::Timeout => Self::ClientTimeout,
            Broken::Idle => Self::Upstream(UpstreamError::Idle),
        }
    }
}
