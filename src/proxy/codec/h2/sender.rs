//! The half of an HTTP/2 stream that sends: within the peer's window, in frames of a useful size, and
//! knowing when its bytes have left for the socket (RFC 9113 §5.2, §6.1).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::task::AtomicWaker;
use h2::{Reason, SendStream};
use http::HeaderMap;
use tokio::sync::Notify;

use crate::proxy::codec::h2::unsent::{Charge, Unsent};
use crate::proxy::codec::message::{Frame, MessageError, Readiness};

/// Bytes that are gathered before they become a frame, unless there is nothing to wait for: a burst
/// of small frames costs more than its bytes, and peers count it as an attack.
const GATHERED: usize = 4 * 1024;

/// The half that sends.
pub(super) struct Sender {
    stream: SendStream<Bytes>,
    /// Goes first.
    pending: Bytes,
    /// Small pieces, behind it.
    gathered: BytesMut,
    /// Go behind both.
    trailers: Option<HeaderMap>,
    /// The pending bytes are the last.
    last: bool,
    ended: bool,
    in_flight: Arc<InFlight>,
    /// For what the peer's window keeps here; an upstream is not charged.
    charge: Option<Charge>,
}

/// Pieces that were handed to h2 and have not left for the socket.
#[derive(Default)]
struct InFlight {
    pieces: AtomicUsize,
    none_left: Notify,
    /// The stream, if it waits for that before it takes more.
    waiting: AtomicWaker,
    unsent: Option<Arc<Unsent>>,
}

impl InFlight {
    fn poll_none(&self, cx: &Context<'_>) -> Poll<()> {
        if self.pieces.load(Ordering::Acquire) == 0 {
            return Poll::Ready(());
        }
        self.waiting.register(cx.waker());
        // The last may have left in between.
        match self.pieces.load(Ordering::Acquire) {
            0 => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }
}

/// A piece in flight: h2 drops it when it is written.
struct Piece {
    bytes: Bytes,
    flight: Arc<InFlight>,
}

impl Piece {
    fn launch(bytes: Bytes, flight: &Arc<InFlight>) -> Bytes {
        flight.pieces.fetch_add(1, Ordering::AcqRel);
        if let Some(unsent) = &flight.unsent {
            unsent.add(bytes.len());
        }
        let flight = Arc::clone(flight);
        Bytes::from_owner(Self { bytes, flight })
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(unsent) = &self.flight.unsent {
            unsent.remove(self.bytes.len());
        }
        if self.flight.pieces.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.flight.none_left.notify_one();
            self.flight.waiting.wake();
        }
    }
}

impl Sender {
    pub(super) fn new(stream: SendStream<Bytes>, ended: bool, unsent: Option<Arc<Unsent>>) -> Self {
        Self {
            stream,
            pending: Bytes::new(),
            gathered: BytesMut::new(),
            trailers: None,
            last: false,
            ended,
            in_flight: Arc::new(InFlight {
                unsent: unsent.clone(),
                ..InFlight::default()
            }),
            charge: unsent.map(Charge::new),
        }
    }

    /// Whether the end was handed over.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn poll_ready(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Readiness, MessageError>> {
        if !(self.pending.is_empty() && self.gathered.len() < GATHERED) {
            ready!(self.poll_flush(cx))?;
        }
        match self.charge.as_ref().map_or(Readiness::Ample, Charge::room) {
            Readiness::Ample => Poll::Ready(Ok(Readiness::Ample)),
            Readiness::Scarce => self.poll_ready_scarce(cx).map_ok(|()| Readiness::Scarce),
        }
    }

    /// Ready when the peer can take something at once: its window is open, and nothing of this stream
    /// waits for the socket.
    fn poll_ready_scarce(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), MessageError>> {
        ready!(self.poll_flush(cx))?;
        // Behind the end there is no window to wait for, and asking for it is an error.
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        ready!(self.in_flight.poll_none(cx));
        self.poll_capacity(cx, 1).map_ok(drop)
    }

    /// Hands over what is queued, as far as the peer's window goes.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), MessageError>> {
        let flushed = self.poll_hand_over(cx);
        if let Some(charge) = &mut self.charge {
            charge.set(self.pending.len() + self.gathered.len());
        }
        flushed
    }

    fn poll_hand_over(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), MessageError>> {
        loop {
            if self.pending.is_empty() {
                self.pending = self.gathered.split().freeze();
            }
            if self.pending.is_empty() {
                return Poll::Ready(self.end());
            }
            let room = ready!(self.poll_capacity(cx, self.pending.len()))?;
            let piece = self.pending.split_to(room.min(self.pending.len()));
            let queued = !(self.pending.is_empty() && self.gathered.is_empty());
            let last = self.last && !queued && self.trailers.is_none();
            let piece = Piece::launch(piece, &self.in_flight);
            self.stream.send_data(piece, last)?;
            self.ended |= last;
        }
    }

    fn poll_capacity(
        &mut self,
        cx: &mut Context<'_>,
        wanted: usize,
    ) -> Poll<Result<usize, MessageError>> {
        self.stream.reserve_capacity(wanted);
        loop {
            let room = self.stream.capacity();
            if room > 0 {
                return Poll::Ready(Ok(room));
            }
            match ready!(self.stream.poll_capacity(cx)) {
                Some(room) => room?,
                None => return Poll::Ready(Err(MessageError::Ended)),
            };
        }
    }

    /// Ends the stream once everything before its end was handed over.
    fn end(&mut self) -> Result<(), MessageError> {
        if let Some(trailers) = self.trailers.take() {
            self.stream.send_trailers(trailers)?;
            self.ended = true;
        }
        if self.last && !self.ended {
            self.stream.send_data(Bytes::new(), true)?;
            self.ended = true;
        }
        Ok(())
    }

    pub(super) fn send(&mut self, frame: Frame, last: bool) {
        match frame {
            Frame::Data(bytes) => {
                let alone = self.pending.is_empty() && self.gathered.is_empty();
                if alone && (last || bytes.len() >= GATHERED) {
                    self.pending = bytes;
                } else {
                    self.gathered.extend_from_slice(&bytes);
                }
                self.last |= last;
            }
            Frame::Trailers(fields) => self.trailers = Some(fields),
        }
    }

    /// Nothing follows; the next flush says so.
    pub(super) fn finish(&mut self) {
        self.last = true;
    }

    /// Hands the whole body over, whatever the peer's window: few bytes, and nothing of ours waits for them.
    pub(super) fn send_whole(&mut self, body: Bytes) -> Result<(), MessageError> {
        let piece = Piece::launch(body, &self.in_flight);
        self.ended = true;
        Ok(self.stream.send_data(piece, true)?)
    }

    /// Ready when the peer reset the stream.
    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reason, h2::Error>> {
        self.stream.poll_reset(cx)
    }

    /// Breaks the stream off; what is still in flight is lost.
    pub(super) fn reset(&mut self, reason: Reason) {
        self.stream.send_reset(reason);
    }

    /// Whether something was handed over that has not left.
    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight.pieces.load(Ordering::Acquire) > 0
    }

    /// Waits until nothing is in flight.
    pub(super) async fn flushed(&self) {
        while self.is_in_flight() {
            self.in_flight.none_left.notified().await;
        }
    }
}
