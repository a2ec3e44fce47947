//! Why a call to the agent ended.

use std::io;

use thiserror::Error;

use crate::redact::{is_printable, scrub};

/// `PERMISSION_DENIED` of gRPC.
const PERMISSION_DENIED: u32 = 7;

/// Longest text of the agent that is repeated.
const LONGEST_TEXT: usize = 200;

/// Why a call ended.
#[derive(Debug, Error)]
pub enum Error {
    /// Nobody listens, or may be asked.
    #[error(
        "the socket cannot be connected to: {0}: is the agent running, and its socket mounted here?"
    )]
    Connect(#[source] io::Error),
    /// The agent has no identity for this workload.
    #[error("the agent denies an identity (PERMISSION_DENIED): {0}: is this workload registered?")]
    Denied(String),
    /// Any other status.
    #[error("the agent ended the call with gRPC status {code}: {message}")]
    Status {
        /// Of gRPC.
        code: u32,
        /// What the agent says.
        message: String,
    },
    /// What came is no HTTP/2, or not of gRPC.
    #[error("the agent does not speak gRPC: {0}")]
    Protocol(String),
    /// What came is no answer of the Workload API.
    #[error("the agent's answer cannot be read: {0}")]
    Malformed(&'static str),
    /// No answer.
    #[error("the agent did not answer within {0} s")]
    Silent(u64),
    /// It is connected and does not even return a PING.
    #[error("the agent has stopped: it did not return a PING within {0} s")]
    Stopped(u64),
    /// The stream ended without a status.
    #[error("the agent closed the connection")]
    Ended,
}

impl Error {
    /// Of the fields `grpc-status` and `grpc-message`.
    pub(super) fn of_status(code: u32, message: &str) -> Self {
        let message: String = message.chars().take(LONGEST_TEXT).collect();
        let message = scrub(&message).replace(|c: char| !is_printable(c), " ");
        match code {
            PERMISSION_DENIED => Self::Denied(message),
            0 => Self::Ended,
            code => Self::Status { code, message },
        }
    }

    /// Whether the agent says that this workload has no identity, or no longer.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied(_))
    }
}

impl From<h2::Error> for Error {
    fn from(error: h2::Error) -> Self {
        let text: String = error.to_string().chars().take(LONGEST_TEXT).collect();
        Self::Protocol(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_agent_says_is_shown_without_marks_that_reorder_it() {
        let said = Error::of_status(PERMISSION_DENIED, "no\u{202e} identity\n\u{1b}[2J");
        assert_eq!(
            said.to_string(),
            Error::Denied("no  identity  [2J".to_owned()).to_string()
        );
    }
}
