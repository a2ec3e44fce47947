//! When something is due on a connection without events: a drain, a ping, the end of a silence.

use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::{Event, PING_EVERY, Serving};

/// Until a ping must be answered.
const PING_ANSWER: Duration = Duration::from_secs(20);

impl<S> Serving<S> {
    /// A drain has begun, and the request that the client may have sent right behind its handshake,
    /// when it could not know, has come or had its time.
    pub(super) fn must_drain(&mut self, cx: &mut task::Context<'_>) -> bool {
        if Pin::new(&mut self.drained).poll(cx).is_pending() {
            return false;
        }
        match self.first_by.filter(|by| *by > Instant::now()) {
            Some(by) => {
                if self.timer.deadline() > by {
                    self.timer.as_mut().reset(by);
                }
                false
            }
            None => true,
        }
    }

    /// The next ping, or the end of a connection that is quiet.
    pub(super) fn poll_due(&mut self, cx: &mut task::Context<'_>) -> Poll<Event> {
        let quiet_end = self.quiet_end();
        let due = quiet_end.map_or(self.ping_at, |end| end.min(self.ping_at));
        if self.timer.deadline() > due {
            self.timer.as_mut().reset(due);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let fired = self.timer.deadline();
            self.timer.as_mut().reset(due.max(fired));
            if quiet_end.is_some_and(|end| end <= fired) {
                return Poll::Ready(Event::Quiet);
            }
            if self.ping_at <= fired {
                return Poll::Ready(Event::PingDue);
            }
        }
        Poll::Pending
    }

    /// When a connection without streams has been silent for long enough.
    fn quiet_end(&self) -> Option<Instant> {
        let silence = self.context.settings.keep_alive_timeout?;
        let quiet = self.streams.is_empty() && self.closing.is_none();
        quiet.then(|| self.quiet_since + silence)
    }

    pub(super) fn ping(&mut self) {
        let sent = self
            .pings
            .as_mut()
            .is_some_and(|pings| pings.send_ping(h2::Ping::opaque()).is_ok());
        self.ping_open = sent;
        self.ping_at = Instant::now() + if sent { PING_ANSWER } else { PING_EVERY };
    }
}
