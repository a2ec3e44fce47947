//! A stream that we open at an HTTP/2 upstream, as the upstream side of an exchange.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{RecvStream, SendStream};

use crate::proxy::codec::h2::response_ends::WatchedEnd;
use crate::proxy::codec::h2::sender::Sender;
use crate::proxy::codec::h2::share_of_outgoing::ShareOfOutgoing;
use crate::proxy::codec::h2::stream::poll_frame;
use crate::proxy::codec::message::{
    AskOutgoing, Frame, MessageError, MessageStream, Outgoing, Readiness,
};

/// The upstream's side of a stream we opened.
pub(crate) struct OpenedStream {
    sender: Sender,
    /// There once the response head is.
    receiver: Option<RecvStream>,
    /// The response has no body, whatever the server sends.
    bodiless: bool,
    came: Came,
    connection: AskOutgoing,
    share: ShareOfOutgoing,
}

/// What was read of the response.
#[derive(Default)]
struct Came {
    /// Bytes of content.
    content: u64,
    /// Trailers: nothing is behind them.
    trailers: bool,
    end: Option<WatchedEnd>,
}

impl Came {
    /// Whether it is all, though the connection has ended.
    fn is_whole(&self) -> bool {
        let end = self.end.as_ref();
        self.trailers || end.is_some_and(|end| end.is_behind(self.content))
    }
}

impl OpenedStream {
    /// `ended`: the request has no body; `connection` is that of the stream; `end` tells when the response has ended,
    /// whatever the h2 crate says.
    pub(crate) fn new(
        stream: SendStream<Bytes>,
        ended: bool,
        connection: AskOutgoing,
        end: Option<WatchedEnd>,
    ) -> Self {
        Self {
            sender: Sender::new(stream, ended, None),
            receiver: None,
            bodiless: false,
            came: Came {
                end,
                ..Came::default()
            },
            connection,
            share: ShareOfOutgoing::default(),
        }
    }

    /// The response's head is here; its body follows.
    pub(crate) fn start_body(&mut self, receiver: RecvStream) {
        self.receiver = Some(receiver);
    }

    /// The response ends with its head; what follows is dropped.
    pub(crate) fn end_with_head(&mut self) {
        self.receiver = None;
        self.bodiless = true;
    }

    /// Tells the server that nobody waits any more.
    pub(crate) fn cancel(&mut self) {
        self.sender.reset(h2::Reason::CANCEL);
    }
}

impl MessageStream for OpenedStream {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, MessageError>> {
        let Some(receiver) = &mut self.receiver else {
            return Poll::Ready(if self.bodiless {
                Ok(None)
            } else {
                Err(MessageError::Ended)
            });
        };
        let frame = match ready!(poll_frame(receiver, cx)) {
            Err(MessageError::Io(_)) if self.came.is_whole() => return Poll::Ready(Ok(None)),
            frame => frame?,
        };
        match &frame {
            Some(Frame::Data(data)) => {
                self.came.content += data.len() as u64;
                receiver.flow_control().release_capacity(data.len())?;
            }
            Some(Frame::Trailers(_)) => self.came.trailers = true,
            None => {}
        }
        Poll::Ready(Ok(frame))
    }

    fn at_end(&self) -> bool {
        let ended = |receiver: &RecvStream| receiver.is_end_stream();
        self.bodiless || self.receiver.as_ref().is_some_and(ended)
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<Readiness, MessageError>> {
        self.sender.poll_ready(cx)
    }

    fn send(&mut self, frame: Frame, last: bool) -> Result<(), MessageError> {
        self.sender.send(frame, last);
        self.share.sent();
        Ok(())
    }

    fn finish(&mut self) -> Result<(), MessageError> {
        self.sender.finish();
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), MessageError>> {
        self.sender.poll_flush(cx)
    }

    fn poll_closed(&mut self, _: &mut Context<'_>) -> Poll<MessageError> {
        Poll::Pending
    }

    fn outgoing(&self) -> Outgoing {
        let queued = self.sender.is_in_flight();
        self.share.of(queued, || (self.connection)())
    }
}
