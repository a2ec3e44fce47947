//! A client's HTTP/2 stream as the downstream side of an exchange (RFC 9113 §5.2, §8.1). Flow control is the back-pressure:
//! capacity is asked for before bytes are handed over, and given back when they are forwarded.

mod ahead;
mod message_stream;

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, Response};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::proxy::codec::digest_check::DigestCheck;
use crate::proxy::codec::h2::held_heads::HeldHead;
use crate::proxy::codec::h2::sender::Sender;
use crate::proxy::codec::h2::share_of_outgoing::ShareOfOutgoing;
use crate::proxy::codec::h2::unsent::{Charge, Unsent};
use crate::proxy::codec::headers;
use crate::proxy::codec::linger::{LISTENED, LISTENED_BYTES, SILENCE};
use crate::proxy::codec::message::{
    Frame, FramingError, MAX_TRAILER_FIELDS, MAX_TRAILERS, MessageError,
};
use crate::proxy::codec::patience::Patience;
use crate::signature::BodyDigest;

/// What a frame costs at least, however small.
const SMALL_FRAME: usize = 256;
/// Bytes of a response head that is not counted beside its stream.
pub(crate) const USUAL_HEAD: usize = 4 * 1024;
/// Bytes that are forwarded in one go of what was read ahead.
const READ_AHEAD_PIECE: usize = 16 * 1024;

/// Receives frames; the window of data is the caller's to give back.
pub(super) fn poll_frame(
    stream: &mut RecvStream,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Frame>, MessageError>> {
    while let Some(data) = ready!(stream.poll_data(cx)) {
        let data = data?;
        if !data.is_empty() {
            return Poll::Ready(Ok(Some(Frame::Data(data))));
        }
    }
    let trailers = ready!(poll_trailers(stream, cx))?;
    Poll::Ready(Ok(trailers.map(Frame::Trailers)))
}

/// Receives trailers; `None`: there are none.
fn poll_trailers(
    stream: &mut RecvStream,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<HeaderMap>, MessageError>> {
    let Some(trailers) = ready!(stream.poll_trailers(cx))? else {
        return Poll::Ready(Ok(None));
    };
    if trailers.len() > MAX_TRAILER_FIELDS || headers::size(&trailers) > MAX_TRAILERS {
        return Poll::Ready(Err(FramingError::Trailers.into()));
    }
    Poll::Ready(Ok(Some(end_to_end_fields(trailers))))
}

/// Trailers without what must not come as one.
fn end_to_end_fields(mut trailers: HeaderMap) -> HeaderMap {
    let forbidden: Vec<_> = trailers
        .keys()
        .filter(|name| headers::forbidden_in_trailers(name.as_str().as_bytes()))
        .cloned()
        .collect();
    for name in forbidden {
        trailers.remove(name);
    }
    trailers
}

/// The client's side of a stream we serve.
pub(crate) struct ServedStream {
    receiver: RecvStream,
    /// Taken out of its frames while the upstream takes nothing: the client's window bounds
    /// it, and it costs only its bytes.
    ahead: BytesMut,
    /// The trailers behind that.
    trailers: Option<Box<HeaderMap>>,
    /// What large trailers take of the process's memory, until the stream ends.
    held: Option<HeldHead>,
    /// Nothing comes any more of what the client sends.
    ended: bool,
    /// Bytes that were forwarded and that the upstream need not have taken yet: their window
    /// is given back when it has, so that the window bounds what an upload costs.
    handed: usize,
    /// Holds the end of a signed body back.
    check: Option<Box<DigestCheck>>,
    respond: SendResponse<Bytes>,
    sender: Option<Sender>,
    grpc_status: Option<u8>,
    unsent: Arc<Unsent>,
    patience: Patience,
    share: ShareOfOutgoing,
    /// Both sides may speak by turns.
    talks: bool,
}

impl Drop for ServedStream {
    fn drop(&mut self) {
        if self.patience.is_stalled() {
            self.unsent.goes_on();
        }
        let held = self.ahead.len() + self.handed;
        self.unsent.uploads.released(held);
        // Behind bytes that wait for the client's window h2 would keep a reset of its own, which it forgets to take
        // off its count when the connection ends.
        if let Some(sender) = &mut self.sender
            && sender.is_in_flight()
            && !self.receiver.is_end_stream()
        {
            sender.reset(h2::Reason::NO_ERROR);
        }
    }
}

/// The status of a gRPC call, in trailers or in a trailers-only response.
pub(crate) fn grpc_status(fields: &HeaderMap) -> Option<u8> {
    fields.get("grpc-status")?.to_str().ok()?.parse().ok()
}

impl ServedStream {
    /// `ended`: the request has no body.
    pub(crate) fn new(
        receiver: RecvStream,
        ended: bool,
        respond: SendResponse<Bytes>,
        unsent: Arc<Unsent>,
    ) -> Self {
        Self {
            receiver,
            ahead: BytesMut::new(),
            trailers: None,
            held: None,
            ended,
            handed: 0,
            check: None,
            respond,
            sender: None,
            grpc_status: None,
            unsent,
            patience: Patience::default(),
            share: ShareOfOutgoing::default(),
            talks: false,
        }
    }

    /// A call in which both sides may speak by turns.
    pub(crate) fn talking(mut self, talks: bool) -> Self {
        self.talks = talks;
        self
    }

    /// The body that comes must have this digest.
    pub(crate) fn check_body(&mut self, digest: BodyDigest) {
        self.check = Some(Box::new(DigestCheck::new(digest)));
    }

    /// Whether there is memory for a response head of so many bytes, which is sent next and which a client
    /// may leave unread. One of a usual size is part of what a stream costs and need not be asked for; a
    /// large one is held as fields and as text. Waits only for heads that leave with this turn.
    pub(crate) async fn memory_for_head(&mut self, bytes: usize) -> bool {
        while !self.unsent.takes_head(bytes.saturating_mul(2)) {
            if self.unsent.is_blocked() {
                return false;
            }
            yield_now().await;
        }
        true
    }

    /// What is to be charged to this client.
    pub(crate) fn charge(&self) -> Charge {
        Charge::new(Arc::clone(&self.unsent))
    }

    /// Sends an interim response (RFC 9110 §15.2), or drops it: a client that leaves its socket unread
    /// would make it wait here.
    pub(crate) fn send_interim(&mut self, response: Response<()>) -> Result<(), MessageError> {
        let bytes = headers::size(response.headers()) + SMALL_FRAME;
        if self.unsent.is_blocked() || !self.unsent.takes_head(bytes) {
            return Ok(());
        }
        Ok(self.respond.send_informational(response)?)
    }

    /// Sends the head of the response; `last` if it has no body.
    pub(crate) fn start_response(
        &mut self,
        response: Response<()>,
        last: bool,
    ) -> Result<(), MessageError> {
        let stream = self.respond.send_response(response, last)?;
        let unsent = Arc::clone(&self.unsent);
        self.sender = Some(Sender::new(stream, last, Some(unsent)));
        Ok(())
    }

    /// Sends a whole response at once.
    pub(crate) fn answer(
        &mut self,
        response: Response<()>,
        body: Bytes,
    ) -> Result<(), MessageError> {
        self.start_response(response, body.is_empty())?;
        match &mut self.sender {
            Some(sender) if !body.is_empty() => sender.send_whole(body),
            _ => Ok(()),
        }
    }

    /// The grpc-status of the trailers, once they were sent.
    pub(crate) fn grpc_status(&self) -> Option<u8> {
        self.grpc_status
    }

    /// Waits until everything handed over has left for the socket: a reset would overtake it.
    pub(crate) async fn flushed(&mut self) {
        if let Some(sender) = &self.sender {
            sender.flushed().await;
        }
    }

    /// Reads and drops what the client still sends of its request, window given back, until its end:
    /// many clients give up a response when the stream is reset while they send (RFC 9113 §8.1).
    /// Bounded; what comes later is refused with NO_ERROR when the stream is dropped.
    pub(crate) async fn discard(&mut self) -> Result<(), MessageError> {
        let ahead = std::mem::take(&mut self.ahead).len();
        let held = ahead + std::mem::take(&mut self.handed);
        self.unsent.uploads.released(held);
        self.receiver.flow_control().release_capacity(held)?;
        let mut left = LISTENED_BYTES;
        let listening = async {
            while let Ok(Some(data)) = timeout(SILENCE, self.receiver.data()).await {
                let length = data?.len();
                self.unsent.uploads.came(length);
                self.unsent.uploads.released(length);
                self.receiver.flow_control().release_capacity(length)?;
                left = left.saturating_sub(length.max(SMALL_FRAME));
                if left == 0 {
                    break;
                }
            }
            Ok(())
        };
        timeout(LISTENED, listening).await.unwrap_or(Ok(()))
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, MessageError>> {
        if !self.ahead.is_empty() {
            let piece = self.ahead.len().min(READ_AHEAD_PIECE);
            let piece = self.ahead.split_to(piece).freeze();
            self.handed += piece.len();
            return Poll::Ready(Ok(Some(Frame::Data(piece))));
        }
        if let Some(trailers) = self.trailers.take() {
            return Poll::Ready(Ok(Some(Frame::Trailers(*trailers))));
        }
        let frame = ready!(poll_frame(&mut self.receiver, cx))?;
        match &frame {
            Some(Frame::Data(data)) => {
                self.handed += data.len();
                self.unsent.uploads.came(data.len());
            }
            other => {
                self.ended = true;
                if let Some(Frame::Trailers(fields)) = other {
                    self.hold(fields)?;
                }
            }
        }
        Poll::Ready(Ok(frame))
    }

    /// Breaks the stream off.
    pub(crate) fn reset(&mut self, reason: h2::Reason) {
        match &mut self.sender {
            Some(sender) => sender.reset(reason),
            None => self.respond.send_reset(reason),
        }
    }
}
