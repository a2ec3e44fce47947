//! An HTTP message as both versions have it: its framing, the pieces of its body, and the stream that
//! reads one message and writes another (RFC 9110 §6).

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use thiserror::Error;

use crate::proxy::codec::headers::put_field;
use crate::proxy::codec::patience::{GivenUp, Turn};

/// How the length of a body is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Framing {
    /// No body, and no field that says so.
    None,
    /// A content-length.
    Length(u64),
    /// Chunks.
    Chunked,
    /// The connection's end (only for responses).
    UntilClose,
}

impl Framing {
    /// Writes the field that announces it.
    pub(crate) fn put_fields(self, out: &mut BytesMut) {
        match self {
            Self::None | Self::UntilClose => {}
            Self::Length(length) => {
                put_field(out, b"content-length", length.to_string().as_bytes());
            }
            Self::Chunked => out.put_slice(b"transfer-encoding: chunked\r\n"),
        }
    }
}

/// Bytes and fields of a trailer section, in either version.
pub(crate) const MAX_TRAILERS: usize = 16 * 1024;
pub(crate) const MAX_TRAILER_FIELDS: usize = 64;

/// A piece of a message body.
#[derive(Debug)]
pub(crate) enum Frame {
    /// Content.
    Data(Bytes),
    /// The trailer section; nothing follows.
    Trailers(HeaderMap),
}

/// A body that breaks its framing.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub(crate) enum FramingError {
    #[error("a chunk size that is no number")]
    ChunkSize,
    #[error("a chunk that does not end where it says")]
    ChunkEnd,
    #[error("chunk extensions without end")]
    Extensions,
    #[error("a malformed trailer section")]
    Trailers,
    #[error("a body that is not the one signed")]
    Digest,
    #[error("a length or trailers that HTTP/2 does not allow")]
    Http2,
}

/// Why a side of an exchange is of no use any more.
#[derive(Debug, Error)]
pub(crate) enum MessageError {
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
    /// There is no memory for what came.
    #[error("no memory for its trailers")]
    Memory,
}

impl From<h2::Error> for MessageError {
    fn from(error: h2::Error) -> Self {
        match error.reason() {
            // The h2 crate resets a stream itself whose content has another length than its head says.
            Some(h2::Reason::PROTOCOL_ERROR) if error.is_reset() && error.is_library() => {
                Self::Framing(FramingError::Http2)
            }
            Some(reason) => Self::Reset(reason),
            None => error.into_io().map_or(Self::Ended, Self::Io),
        }
    }
}

/// What was sent to a peer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Outgoing {
    /// Bytes that left.
    pub(crate) sent: u64,
    /// Those that its TCP has not acknowledged, as far as the kernel tells.
    pub(crate) untaken: usize,
}

/// Asks a connection what was sent on it.
pub(crate) type AskOutgoing = Arc<dyn Fn() -> Outgoing + Send + Sync>;

impl Outgoing {
    /// Whether the peer has taken something since then.
    pub(crate) fn is_taken_since(self, before: Self) -> bool {
        self.sent != before.sent || self.untaken < before.untaken
    }
}

/// How much may be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Readiness {
    Ample,
    /// Others need the memory: a small piece.
    Scarce,
}

/// A message in both directions. Sending never waits; `poll_ready` does, before more is taken.
pub(crate) trait MessageStream {
    /// The next piece of the body that comes; `None` at its end.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, MessageError>>;

    /// Whether the body that comes is known to be at its end.
    fn at_end(&self) -> bool;

    /// Ready when more may be sent: what is unsent stays bounded.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<Readiness, MessageError>>;

    /// What came of the body and was forwarded has left: it costs nothing any more.
    fn taken(&mut self) {}

    /// The next piece that comes should be a small one.
    fn read_little(&mut self) {}

    /// Gives back the buffer for what comes, unless something is in it: nothing is read for now.
    fn release(&mut self) {}

    /// Queues a piece of the body that goes; `last` if nothing follows.
    fn send(&mut self, frame: Frame, last: bool) -> Result<(), MessageError>;

    /// Queues the end of the body that goes, unless the last piece said so.
    fn finish(&mut self) -> Result<(), MessageError>;

    /// Ready when everything queued has left.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), MessageError>>;

    /// Ready when the peer has gone away although its message was complete.
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<MessageError>;

    /// Ready when the client of a tunnel has reset it, though what it sends is not read now.
    fn poll_reset(&mut self, _cx: &mut Context<'_>) -> Poll<MessageError> {
        Poll::Pending
    }

    /// Takes what comes of the body while none of it is forwarded. Ready when the peer has gone away.
    fn poll_ahead(&mut self, _cx: &mut Context<'_>) -> Poll<MessageError> {
        Poll::Pending
    }

    /// What was sent to it so far.
    fn outgoing(&self) -> Outgoing {
        Outgoing::default()
    }

    /// Told at the end of a turn who is waited for, and whether anything moved in it. Ready when a client that
    /// alone was waited for is given up.
    fn poll_patience(&mut self, _cx: &mut Context<'_>, _turn: Turn) -> Poll<GivenUp> {
        Poll::Pending
    }
}

/// RFC 9110 §9.2.2.
pub(crate) fn is_idempotent(method: &str) -> bool {
    matches!(
        method,
        "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE"
    )
}
