//! How a connection is ended, and what is recorded of its end.

use std::future::poll_fn;
use std::task;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::Serving;
use crate::proxy::codec::h2::write_coalescer::CoalescingWriter;
use crate::proxy::error::Outcome;

/// For the last bytes of a connection that has to make room for another one.
const SHED_TIMEOUT: Duration = Duration::from_secs(1);

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Serving<S> {
    /// GOAWAY: streams that are open end by themselves (RFC 9113 §6.8).
    pub(super) fn close(&mut self, why: Outcome) {
        self.closing = Some(why);
        self.closing_since = Instant::now();
        self.connection.graceful_shutdown();
    }

    /// A head was not complete in time: none that follows can be read. What is being served goes on.
    pub(super) fn refuse_head(&mut self) {
        let reason = "a request head was not complete in time";
        self.context.connection_refused(&reason);
        self.close(Outcome::Timeout);
    }

    /// Whether the connection has to make room for another one: it has no stream, or all of them wait for
    /// the client alone.
    pub(super) fn must_make_room(&mut self, cx: &task::Context<'_>) -> bool {
        let (streams, activity) = (self.streams.len(), &self.context.activity);
        let stalled = streams > 0 && self.unsent.stalled_streams() == streams;
        if std::mem::replace(&mut self.stalled, stalled) != stalled {
            if stalled {
                activity.stalled(Instant::now().into_std());
            } else if streams > 0 && !activity.begin() {
                return true;
            }
        }
        (streams == 0 || stalled) && activity.poll_shed(cx).is_ready()
    }

    /// GOAWAY at once: no stream goes on, and a client that does not read must not be waited for.
    pub(super) async fn make_room(&mut self, socket: &CoalescingWriter<S>) -> Outcome {
        self.streams.clear();
        self.connection.abrupt_shutdown(h2::Reason::NO_ERROR);
        let closed = poll_fn(|cx| socket.poll_batched(cx, |cx| self.connection.poll_closed(cx)));
        let _ = tokio::time::timeout(SHED_TIMEOUT, closed).await;
        Outcome::Shed
    }

    pub(super) fn outcome(&self, result: Result<(), h2::Error>) -> Outcome {
        match result {
            _ if self.closing.is_some() => self.closing.unwrap_or(Outcome::Closed),
            Ok(()) if self.streams.is_empty() => Outcome::Closed,
            Ok(()) => Outcome::ClientGone,
            Err(error) if error.is_io() && self.streams.is_empty() => Outcome::Closed,
            Err(error) if error.is_io() || error.is_remote() => Outcome::ClientGone,
            Err(error) => {
                self.context.connection_refused(&error);
                Outcome::ProtocolError
            }
        }
    }
}
