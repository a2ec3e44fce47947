//! One side of an exchange: a message that comes, a message that goes, whatever the HTTP version.

use std::io;
use std::task::{Context, Poll};

use thiserror::Error;

use super::h1::body::{Frame, FramingError};

/// Why a side of an exchange is of no use any more.
#[derive(Debug, Error)]
pub(crate) enum PeerError {
    /// It ended in the middle of a message.
    #[error("ended in the middle of a message")]
    Ended,
    /// It broke the framing of its body.
    #[error(transparent)]
    Framing(#[from] FramingError),
    /// The socket says so.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The HTTP/2 stream was reset.
    #[error("reset: {0}")]
    Reset(h2::Reason),
}

impl From<h2::Error> for PeerError {
    fn from(error: h2::Error) -> Self {
        match error.reason() {
            Some(reason) => Self::Reset(reason),
            None => error.into_io().map_or(Self::Ended, Self::Io),
        }
    }
}

/// How much may be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Room {
    Ample,
    /// Others need the memory: a small piece.
    Scarce,
}

/// A message in both directions. Sending never waits; `poll_room` does, before more is taken.
pub(crate) trait Peer {
    /// The next piece of the body that comes; `None` at its end.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, PeerError>>;

    /// Whether the body that comes is known to be at its end.
    fn at_end(&self) -> bool;

    /// Ready when more may be sent: what is unsent stays bounded.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<Room, PeerError>>;

    /// What came of the body and was passed on has left: it costs nothing any more.
    fn taken(&mut self) {}

    /// The next piece that comes should be a small one.
    fn read_little(&mut self) {}

    /// Gives back the buffer for what comes, unless something is in it: nothing is read for now.
    fn release(&mut self) {}

    /// Queues a piece of the body that goes; `last` if nothing follows.
    fn send(&mut self, frame: Frame, last: bool) -> Result<(), PeerError>;

    /// Queues the end of the body that goes, unless the last piece said so.
    fn finish(&mut self) -> Result<(), PeerError>;

    /// Ready when everything queued has left.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PeerError>>;

    /// Ready when the peer has gone away although its message was complete.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<PeerError>;
}
