//! The wait between two requests of an HTTP/1.1 client. Its timer and its watch on the drain last as
//! long as the connection: setting them up anew for each request would cost more than the wait.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::drain::{Phase, PhaseWait};
use crate::io::Duplex;
use crate::listener::Activity;
use crate::proxy::codec::h1::connection::H1;
use crate::proxy::context::Context;
use crate::proxy::error::Outcome;

/// How long a connection that has had no request yet may still bring one when a drain meets it: the
/// client sent it right behind its handshake, and could not know.
pub(super) const FIRST_REQUEST_GRACE: Duration = Duration::from_secs(1);

/// The wait of one connection.
pub(super) struct KeepAliveWait {
    drained: PhaseWait,
    /// Fires no later than the silence ends; moved on only when it fires.
    timer: Option<Pin<Box<Sleep>>>,
    since: Instant,
    silence: Option<Duration>,
    /// What is allowed before the first request.
    first: Option<Duration>,
}

impl KeepAliveWait {
    pub(super) fn new(context: &Context) -> Self {
        Self {
            drained: context.drain.reached(Phase::Draining),
            timer: None,
            since: Instant::now(),
            silence: context.settings.keep_alive_timeout,
            first: Some(context.settings.head_timeout),
        }
    }

    /// Waits for the next request, for a drain, for the need to make room, or for the client to close.
    pub(super) async fn next_request<S: Duplex>(
        &mut self,
        client: &mut H1<S>,
        activity: &Activity,
    ) -> Result<(), Outcome> {
        let since = Instant::now();
        self.since = since;
        activity.idle(since.into_std());
        let fresh = self.first.is_some();
        let silence = self.first.take().or(self.silence);
        let waited = poll_fn(|cx| {
            if let Poll::Ready(readable) = client.poll_readable(cx) {
                return Poll::Ready(readable.map_err(|_| Outcome::Closed));
            }
            if Pin::new(&mut self.drained).poll(cx).is_ready() {
                if !fresh {
                    return Poll::Ready(Err(Outcome::Drained));
                }
                let grace = self.poll_silence(cx, since, Some(FIRST_REQUEST_GRACE));
                return grace.map(|_| Err(Outcome::Drained));
            }
            if activity.poll_shed(cx).is_ready() {
                return Poll::Ready(Err(Outcome::Shed));
            }
            self.poll_silence(cx, since, silence)
        });
        waited.await?;
        if activity.begin() {
            Ok(())
        } else {
            Err(Outcome::Shed)
        }
    }

    /// When the last wait began.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    fn poll_silence(
        &mut self,
        cx: &mut Task<'_>,
        since: Instant,
        silence: Option<Duration>,
    ) -> Poll<Result<(), Outcome>> {
        let Some(silence) = silence else {
            return Poll::Pending;
        };
        let end = since + silence;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        if timer.deadline() > end {
            timer.as_mut().reset(end);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= end {
                return Poll::Ready(Err(Outcome::Timeout));
            }
            timer.as_mut().reset(end);
        }
        Poll::Pending
    }
}
