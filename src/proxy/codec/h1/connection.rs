//! One HTTP/1.1 connection, either side of the proxy: heads in and out, bodies as frames, and after
//! an upgrade bytes as they are (RFC 9112 §9, RFC 9110 §7.8).

mod client;
mod message_stream;
mod peer;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};

use self::client::Client;
use crate::io::Duplex;
use crate::proxy::codec::digest_check::DigestCheck;
use crate::proxy::codec::h1::body::{Decoded, Decoder};
use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::codec::h1::head_scanner::HeadScan;
use crate::proxy::codec::message::{Frame, Framing, MessageError};
use crate::signature::BodyDigest;

/// Unsent bytes at which no more is taken in.
const HIGH_WATER: usize = 64 * 1024;
/// Bytes of a next request that are taken in while one is served: enough to notice a client that
/// goes away, not enough to be a burden.
const READ_AHEAD: usize = 64 * 1024;
/// Unsent pieces at which no more is taken in: many small ones cost more than their bytes.
const HIGH_WATER_PIECES: usize = 1024;
/// Buffer capacity for received bytes that is kept while waiting for more of the same message.
const SMALL_BUFFER: usize = 4 * 1024;
/// Capacity for pieces that is kept by a connection that waits: a head and a body.
const SMALL_QUEUE: usize = 4;
/// Pieces handed to the socket in one call.
const MAX_SLICES: usize = 32;

/// Why a head could not be read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ReadError {
    /// The stream ended before the first byte of a head.
    Closed,
    /// The stream ended, or broke, inside a head.
    Broken,
    /// The head is refused.
    Head(HeadError),
}

/// A connection and what has been received and not yet used.
pub(crate) struct H1<S> {
    stream: S,
    received: BytesMut,
    scan: HeadScan,
    decoder: Decoder,
    /// Holds the end of a signed body back.
    check: Option<Box<DigestCheck>>,
    out: VecDeque<Bytes>,
    unsent: usize,
    encoder: Encoder,
    /// Where chunk sizes are written, so that one piece of memory serves many.
    sizes: BytesMut,
    /// Bytes that left since the last head was queued.
    sent: u64,
    /// What the peer has not acknowledged, if that can be asked for.
    untaken: fn(&S) -> Option<usize>,
    client: Option<Box<Client<S>>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Encoder {
    /// Content as it is; the framing is in the head.
    Plain,
    Chunked,
    /// A tunnel: its end is the end of the stream.
    Raw,
    Ended,
    /// The end of a tunnel, to be made when everything has left.
    Closing,
}

impl<S: Duplex> H1<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            received: BytesMut::new(),
            scan: HeadScan::default(),
            decoder: Decoder::new(Framing::None),
            check: None,
            out: VecDeque::new(),
            unsent: 0,
            encoder: Encoder::Ended,
            sizes: BytesMut::new(),
            sent: 0,
            untaken: |_| None,
            client: None,
        }
    }

    /// The stream below.
    pub(crate) fn stream(&self) -> &S {
        &self.stream
    }

    pub(crate) fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Whether nothing was received beyond the last message.
    pub(crate) fn is_drained(&self) -> bool {
        self.received.is_empty()
    }

    /// Whether the message that comes has been read to its end.
    pub(crate) fn body_done(&self) -> bool {
        self.decoder.is_done() && self.check.as_ref().is_none_or(|check| check.is_done())
    }

    /// The body that comes must have this digest.
    pub(crate) fn check_body(&mut self, digest: BodyDigest) {
        self.check = Some(Box::new(DigestCheck::new(digest)));
    }

    /// Whether any byte left since the last head was queued.
    pub(crate) fn has_sent(&self) -> bool {
        self.sent > 0
    }

    /// Waits for the first byte of a head.
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ReadError>> {
        if !self.received.is_empty() {
            return Poll::Ready(Ok(()));
        }
        match self.poll_receive(cx) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(ReadError::Closed)),
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
            Poll::Pending => {
                self.release_buffer();
                Poll::Pending
            }
        }
    }

    /// Reads a head of at most `limit` bytes; its length, blank line included.
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        limit: usize,
    ) -> Poll<Result<usize, ReadError>> {
        loop {
            match self.scan.advance(&self.received, limit) {
                Ok(Some(length)) => {
                    self.scan = HeadScan::default();
                    return Poll::Ready(Ok(length));
                }
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(ReadError::Head(error))),
            }
            match ready!(self.poll_receive(cx)) {
                Ok(0) | Err(_) if self.received.is_empty() => {
                    return Poll::Ready(Err(ReadError::Closed));
                }
                Ok(0) | Err(_) => return Poll::Ready(Err(ReadError::Broken)),
                Ok(_) => {}
            }
        }
    }

    /// What came and was not used yet.
    pub(crate) fn received(&self) -> &[u8] {
        &self.received
    }

    /// The bytes of a head that was read.
    pub(crate) fn head(&self, length: usize) -> &[u8] {
        &self.received[..length]
    }

    /// Passes over a head that was read; its body follows.
    pub(crate) fn start_body(&mut self, head: usize, framing: Framing) {
        self.received.advance(head);
        self.decoder = Decoder::new(framing);
        self.check = None;
    }

    /// Gives back the buffers of a connection that will wait.
    pub(crate) fn shrink_buffers(&mut self) {
        self.received = BytesMut::new();
        self.shrink_queue();
    }

    fn shrink_queue(&mut self) {
        if self.out.capacity() > SMALL_QUEUE {
            self.out = VecDeque::new();
        }
    }

    /// Queues a head whose body will have this framing.
    pub(crate) fn start_message(&mut self, head: Bytes, framing: Framing) {
        self.encoder = match framing {
            Framing::None => Encoder::Ended,
            Framing::Length(_) | Framing::UntilClose => Encoder::Plain,
            Framing::Chunked => Encoder::Chunked,
        };
        self.sent = 0;
        self.queue(head);
    }

    /// Queues bytes that are complete in themselves: an interim head, a local reply.
    pub(crate) fn queue(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.unsent += bytes.len();
            self.out.push_back(bytes);
        }
    }

    /// From here on bytes are forwarded as they are, in both directions.
    pub(crate) fn start_tunnel(&mut self) {
        self.decoder = Decoder::new(Framing::UntilClose);
        self.encoder = Encoder::Raw;
    }

    /// Gives back the room for received bytes if there are none.
    pub(crate) fn release_buffer(&mut self) {
        if self.received.is_empty() {
            self.received = BytesMut::new();
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, MessageError>> {
        loop {
            match self.decoder.decode(&mut self.received)? {
                Decoded::Frame(frame) => return Poll::Ready(Ok(Some(frame))),
                Decoded::End => return Poll::Ready(Ok(None)),
                Decoded::NeedMore => {}
            }
            if ready!(self.poll_receive(cx))? == 0 {
                return Poll::Ready(if self.decoder.ends_with_stream() {
                    Ok(None)
                } else {
                    Err(MessageError::Ended)
                });
            }
        }
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let polled = self.stream.poll_append(cx, &mut self.received);
        if polled.is_pending() && self.received.capacity() > SMALL_BUFFER {
            self.release_buffer();
        }
        polled
    }

    /// Writes what is queued; ready when nothing is left.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(write_pieces(&mut self.stream, cx, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += written as u64;
            self.unsent -= written;
            self.drop_sent(written);
        }
        if self.encoder == Encoder::Ended {
            self.shrink_queue();
        }
        Poll::Ready(Ok(()))
    }

    fn drop_sent(&mut self, mut written: usize) {
        while let Some(front) = self.out.front_mut() {
            if front.len() > written {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.out.pop_front();
        }
    }
}

/// Writes as many pieces as one call takes; a single one without the cost of a list.
fn write_pieces<S: Duplex>(
    stream: &mut S,
    cx: &mut Context<'_>,
    out: &VecDeque<Bytes>,
) -> Poll<io::Result<usize>> {
    let stream = Pin::new(stream);
    if let (Some(only), 1) = (out.front(), out.len()) {
        return stream.poll_write(cx, only);
    }
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    let mut count = 0;
    for (slice, bytes) in slices.iter_mut().zip(out) {
        *slice = IoSlice::new(bytes);
        count += 1;
    }
    stream.poll_write_vectored(cx, &slices[..count])
}
