//! What comes of a request while none of it is forwarded. The h2 crate keeps the buffers that it came in, and trailers
//! of any size: it is taken from it, copied, and bounded.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::time::{Instant, sleep};

use super::{ServedStream, USUAL_HEAD, poll_trailers};
use crate::proxy::codec::h2::held_heads::HeldHead;
use crate::proxy::codec::headers;
use crate::proxy::codec::message::MessageError;

/// Bytes of a request head that may wait for memory, for how long, and how often it asks.
const WAITING_HEAD: usize = 16 * 1024;
const WAITS: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(5);

impl ServedStream {
    /// Reads what has come. Ready when the client is gone, or sent what is refused.
    pub(super) fn read_ahead(&mut self, cx: &mut Context<'_>) -> Poll<MessageError> {
        while let Some(data) = ready!(self.receiver.poll_data(cx)) {
            match data {
                Ok(data) => {
                    self.unsent.uploads.came(data.len());
                    self.ahead.extend_from_slice(&data);
                }
                Err(error) => return Poll::Ready(error.into()),
            }
        }
        if self.ended {
            return Poll::Pending;
        }
        let trailers = match ready!(poll_trailers(&mut self.receiver, cx)) {
            Ok(trailers) => trailers,
            Err(error) => return Poll::Ready(error),
        };
        self.ended = true;
        let Some(fields) = trailers else {
            return Poll::Pending;
        };
        if let Err(error) = self.hold(&fields) {
            return Poll::Ready(error);
        }
        self.trailers = Some(Box::new(copied(&fields)));
        Poll::Pending
    }

    /// Takes memory for trailers of an unusual size.
    pub(super) fn hold(&mut self, fields: &HeaderMap) -> Result<(), MessageError> {
        let size = headers::size(fields);
        if size > USUAL_HEAD {
            let held = self.unsent.takes_request(size);
            self.held = Some(held.ok_or(MessageError::Memory)?);
        }
        Ok(())
    }

    /// Memory for a request head of so many bytes, until it is dropped. One of a usual size is part of what a stream
    /// costs and need not be asked for. A somewhat larger one waits for others to leave for the upstream.
    pub(crate) async fn memory_for_request(&mut self, bytes: usize) -> Option<HeldHead> {
        let held = self.unsent.takes_request(bytes);
        if held.is_some() || bytes > WAITING_HEAD {
            return held;
        }
        let until = Instant::now() + WAITS;
        while Instant::now() < until {
            let mut pause = pin!(sleep(PAUSE));
            let gone = poll_fn(|cx| {
                ready!(match self.read_ahead(cx) {
                    Poll::Ready(_) => return Poll::Ready(true),
                    Poll::Pending => pause.as_mut().poll(cx),
                });
                Poll::Ready(false)
            });
            if gone.await {
                return None;
            }
            let held = self.unsent.takes_request(bytes);
            if held.is_some() {
                return held;
            }
        }
        None
    }

    /// Waits until the client reads its socket, if it does not: heads lie in front of it until then, and
    /// the stream has its permit as long. What comes of the request meanwhile is not left to the h2 crate.
    pub(crate) async fn room_in_socket(&mut self) {
        if !self.unsent.is_blocked() {
            return;
        }
        let unsent = Arc::clone(&self.unsent);
        let mut room = pin!(unsent.room_in_socket());
        poll_fn(|cx| {
            if room.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let _ = self.read_ahead(cx);
            (self.trailers, self.held) = (None, None);
            Poll::Pending
        })
        .await;
    }
}

/// The same fields, apart from the buffers that they came in.
fn copied(fields: &HeaderMap) -> HeaderMap {
    let mut copy = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            copy.append(name, value);
        }
    }
    copy
}
