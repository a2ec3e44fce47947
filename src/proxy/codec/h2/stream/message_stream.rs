//! The stream as one side of an exchange.

use std::task::{Context, Poll, ready};

use super::{Sender, ServedStream, grpc_status};
use crate::proxy::codec::h2::unsent::PROGRESS;
use crate::proxy::codec::message::{Frame, MessageError, MessageStream, Outgoing, Readiness};
use crate::proxy::codec::patience::{Awaited, Change, GivenUp, Turn};

impl MessageStream for ServedStream {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, MessageError>> {
        if let Some(mut check) = self.check.take() {
            let polled = check.poll_frame(|| self.poll_piece(cx));
            self.check = Some(check);
            return polled;
        }
        self.poll_piece(cx)
    }

    fn taken(&mut self) {
        let handed = std::mem::take(&mut self.handed);
        self.unsent.uploads.released(handed);
        // Never more than came: there is no error.
        let _ = self.receiver.flow_control().release_capacity(handed);
    }

    fn at_end(&self) -> bool {
        self.ahead.is_empty()
            && self.trailers.is_none()
            && self.receiver.is_end_stream()
            && self.check.as_ref().is_none_or(|check| check.is_done())
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<Readiness, MessageError>> {
        match &mut self.sender {
            Some(sender) => sender.poll_ready(cx),
            None => Poll::Ready(Ok(Readiness::Ample)),
        }
    }

    fn send(&mut self, frame: Frame, last: bool) -> Result<(), MessageError> {
        if let Frame::Trailers(fields) = &frame {
            self.grpc_status = grpc_status(fields);
        }
        let sender = self.sender.as_mut().ok_or(MessageError::Ended)?;
        sender.send(frame, last);
        self.share.sent();
        Ok(())
    }

    fn finish(&mut self) -> Result<(), MessageError> {
        if let Some(sender) = &mut self.sender {
            sender.finish();
        }
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), MessageError>> {
        match &mut self.sender {
            Some(sender) => sender.poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<MessageError> {
        if let Poll::Ready(gone) = self.read_ahead(cx) {
            return Poll::Ready(gone);
        }
        let reset = match &mut self.sender {
            // After our end of the stream there is nobody left to go away.
            Some(sender) if sender.has_ended() => return Poll::Pending,
            Some(sender) => ready!(sender.poll_reset(cx)),
            None => ready!(self.respond.poll_reset(cx)),
        };
        Poll::Ready(reset.map_or_else(MessageError::from, MessageError::Reset))
    }

    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<MessageError> {
        self.poll_closed(cx)
    }

    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<MessageError> {
        self.poll_closed(cx)
    }

    fn outgoing(&self) -> Outgoing {
        let queued = self.sender.as_ref().is_some_and(Sender::is_in_flight);
        let mut outgoing = self.share.of(queued, || Outgoing {
            sent: self.unsent.sent(),
            untaken: self.unsent.untaken().unwrap_or(0),
        });
        outgoing.sent /= PROGRESS;
        outgoing
    }

    /// The connection makes room, once all of its streams wait for the client alone.
    fn poll_patience(&mut self, cx: &mut Context<'_>, mut turn: Turn) -> Poll<GivenUp> {
        let unsent = &self.unsent;
        let mut sent = 0;
        match turn.awaited {
            // Other uploads, which their apps do not take, may leave it no window to send in.
            Awaited::Sending if unsent.uploads.may_be_shut() => turn.awaited = Awaited::Others,
            Awaited::Sending if self.talks => turn.awaited = Awaited::Talking,
            Awaited::Reading => sent = unsent.sent() / PROGRESS,
            _ => {}
        }
        match self.patience.poll(cx, turn, sent, || unsent.untaken()) {
            Change::Nothing => {}
            Change::Stalled(_) => unsent.stalled(),
            Change::GoesOn => unsent.goes_on(),
            Change::Timeout => return Poll::Ready(GivenUp::Timeout),
        }
        Poll::Pending
    }
}
