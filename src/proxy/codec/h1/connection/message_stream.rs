//! A connection as one side of an exchange: frames in and out, and its end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};

use super::{Encoder, H1, HIGH_WATER, HIGH_WATER_PIECES, READ_AHEAD};
use crate::io::{ClientStream, Closing, Duplex};
use crate::proxy::codec::h1::body::{last_chunk, put_chunk_size};
use crate::proxy::codec::message::{Frame, MessageError, MessageStream, Outgoing, Readiness};
use crate::proxy::codec::patience::{GivenUp, Turn};

impl<S: ClientStream> Closing for H1<S> {
    fn poll_finish(&mut self, cx: &mut Context<'_>, whole: bool) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        self.stream.poll_finish(cx, whole)
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.received = BytesMut::new();
        self.stream.poll_discard(cx)
    }

    fn unacknowledged(&self) -> io::Result<usize> {
        self.stream.unacknowledged()
    }

    fn written(&self) -> u64 {
        self.stream.written()
    }

    fn is_gone(&self, ended: bool) -> bool {
        self.stream.is_gone(ended)
    }

    fn before_reset(&self) -> Option<usize> {
        self.stream.before_reset()
    }
}

impl<S: Duplex> MessageStream for H1<S> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, MessageError>> {
        if let Some(mut check) = self.check.take() {
            let polled = check.poll_frame(|| self.poll_piece(cx));
            self.check = Some(check);
            return polled;
        }
        self.poll_piece(cx)
    }

    fn at_end(&self) -> bool {
        self.body_done()
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<Readiness, MessageError>> {
        if self.unsent >= HIGH_WATER || self.out.len() >= HIGH_WATER_PIECES {
            ready!(self.poll_send(cx))?;
        }
        Poll::Ready(Ok(Readiness::Ample))
    }

    fn read_little(&mut self) {
        self.stream.read_little();
    }

    fn release(&mut self) {
        self.release_buffer();
    }

    fn send(&mut self, frame: Frame, last: bool) -> Result<(), MessageError> {
        match (frame, self.encoder) {
            (Frame::Data(content), Encoder::Chunked) if !content.is_empty() => {
                put_chunk_size(&mut self.sizes, content.len());
                let size = self.sizes.split().freeze();
                self.queue(size);
                self.queue(content);
                self.queue(Bytes::from_static(b"\r\n"));
            }
            (Frame::Data(content), Encoder::Plain | Encoder::Raw) => self.queue(content),
            (Frame::Trailers(fields), Encoder::Chunked) => {
                self.queue(last_chunk(Some(&fields)));
                self.encoder = Encoder::Ended;
            }
            _ => {}
        }
        if last { self.finish() } else { Ok(()) }
    }

    fn finish(&mut self) -> Result<(), MessageError> {
        self.encoder = match self.encoder {
            Encoder::Chunked => {
                self.queue(last_chunk(None));
                Encoder::Ended
            }
            Encoder::Plain | Encoder::Ended => Encoder::Ended,
            Encoder::Raw | Encoder::Closing => Encoder::Closing,
        };
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), MessageError>> {
        ready!(self.poll_send(cx))?;
        let stream = Pin::new(&mut self.stream);
        let flushed = if self.encoder == Encoder::Closing {
            ready!(stream.poll_shutdown(cx))
        } else {
            ready!(stream.poll_flush(cx))
        };
        Poll::Ready(flushed.map_err(MessageError::Io))
    }

    /// A close_notify counts as going away: HTTP/1.1 has no half-closed client.
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<MessageError> {
        while self.received.len() < READ_AHEAD {
            match ready!(self.poll_receive(cx)) {
                Ok(0) => return Poll::Ready(MessageError::Ended),
                Ok(_) => {}
                Err(error) => return Poll::Ready(MessageError::Io(error)),
            }
        }
        self.poll_left(cx, true)
    }

    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<MessageError> {
        self.poll_left(cx, false)
    }

    fn outgoing(&self) -> Outgoing {
        Outgoing {
            sent: self.sent,
            untaken: (self.untaken)(&self.stream).unwrap_or(0),
        }
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>, turn: Turn) -> Poll<GivenUp> {
        self.poll_client(cx, turn)
    }
}
