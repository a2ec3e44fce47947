//! What goes wrong behind the proxy, and how a connection ends: closed sets with their labels.

use std::io;

use rustls::AlertDescription;
use strum::{IntoStaticStr, VariantNames};
use thiserror::Error;

use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::origin::OriginError;

/// A failure of the upstream's side before it answered.
#[derive(Debug, Error, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum UpstreamError {
    /// The answer's head is not HTTP, or contradicts itself.
    #[error("the answer is malformed: {0}")]
    BadResponse(HeadError),
    /// It closed or reset before it answered.
    #[error("closed before it answered")]
    Closed,
    /// The same over HTTP/2, where it says why.
    #[error("closed before it answered: {0:?}")]
    #[strum(serialize = "closed")]
    Reset(h2::Reason),
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// No connection in time.
    #[error("no connection in time")]
    Timeout,
    /// Any other failure to connect.
    #[error("cannot connect: {0}")]
    Unreachable(io::Error),
    /// It said that it did not look at the request (RFC 9113 §8.7), which could not be sent again.
    #[error("closed without processing the request")]
    Unprocessed,
    /// Silence for the configured idle timeout.
    #[error("silent for the idle timeout")]
    #[strum(serialize = "idle_timeout")]
    Idle,
    /// No file descriptor for a connection in time.
    #[error(
        "no file descriptor is left for a connection: raise the limit of open files, or lower max-connections or max-streams"
    )]
    Overloaded,
    /// There is no connection to a server somewhere else.
    #[error("{0}")]
    Origin(Box<OriginError>),
}

/// The answer was under way and broke off.
pub(crate) const BROKEN_BODY: &str = "broken_body";

impl UpstreamError {
    /// Every label, for metrics that start at zero.
    pub(crate) const REASONS: [&'static str; 9] = [
        "bad_response",
        "closed",
        "refused",
        "timeout",
        "unreachable",
        "unprocessed",
        "idle_timeout",
        "overloaded",
        BROKEN_BODY,
    ];

    /// What came over HTTP/2 instead of a response: something that we refuse, or the server's own end.
    pub(crate) fn of_http2(error: &h2::Error) -> Self {
        match error.reason() {
            Some(_) if error.is_library() && error.is_reset() => {
                Self::BadResponse(HeadError::Http2)
            }
            Some(reason) if error.is_library() => Self::BadResponse(HeadError::Http2Frames(reason)),
            Some(reason) if error.is_remote() => Self::Reset(reason),
            _ => Self::Closed,
        }
    }

    /// The server broke TLS, and was told so by this alert.
    pub(crate) fn broken_tls(alert: AlertDescription) -> Self {
        Self::BadResponse(HeadError::BrokenTls(alert))
    }

    /// Whether the connection ended under the request, which another one may serve.
    pub(crate) fn is_of_connection(&self) -> bool {
        matches!(
            self,
            Self::Closed
                | Self::Reset(_)
                | Self::BadResponse(HeadError::Http2Frames(_) | HeadError::BrokenTls(_))
        )
    }

    /// The metric label and log field.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Origin(error) => error.reason(),
            other => other.into(),
        }
    }

    /// The status that answers it.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Timeout | Self::Idle => 504,
            Self::Overloaded => 503,
            Self::Origin(error) => error.status(),
            _ => 502,
        }
    }
}

impl From<io::Error> for UpstreamError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // A Unix socket that is not there yet is an app that is not up yet.
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Self::Refused,
            io::ErrorKind::TimedOut => Self::Timeout,
            _ => Self::Unreachable(error),
        }
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// Both sides were done.
    Closed,
    /// The client went away in the middle.
    ClientGone,
    /// The upstream broke an answer off.
    UpstreamBroken,
    /// The client broke the protocol.
    ProtocolError,
    /// The client was silent too long.
    Timeout,
    /// The opt-in silence of both sides.
    IdleTimeout,
    /// Shutdown ended it between two requests.
    Drained,
    /// Shutdown cut it.
    Cut,
    /// There was no handshake.
    HandshakeFailed,
    /// The listener was full, and it was idle.
    Shed,
    /// A panic ended it: a fault of this program.
    Internal,
}

/// The peer broke TLS behind the handshake.
pub(crate) const BROKEN_TLS: &str = "broken_tls";

impl Outcome {
    /// The peer seems to have closed, or gone away.
    pub(crate) fn is_left(self) -> bool {
        matches!(self, Self::Closed | Self::ClientGone)
    }

    /// The metric label and log field.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
