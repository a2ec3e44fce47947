//! When something is due on a connection without events: a drain, a ping, the end of a silence.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{self, Poll};

use tokio::io::AsyncWrite;
use tokio::time::Instant;

use super::Serving;
use super::event::Event;
use crate::io::Closing;
use crate::proxy::codec::h2::pings::{PING_ANSWER, PING_EVERY};
use crate::proxy::codec::linger::SILENCE;

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
        let quiet_end = self.quiet_end().or_else(|| self.mute_end());
        let head_end = self.heads.end(self.context.settings.head_timeout);
        let head_end = head_end.filter(|_| self.closing.is_none());
        let ends = [quiet_end, head_end].into_iter().flatten();
        let due = ends.fold(self.ping_at, Instant::min);
        if self.timer.deadline() > due {
            self.timer.as_mut().reset(due);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let fired = self.timer.deadline();
            self.timer.as_mut().reset(due.max(fired));
            if quiet_end.is_some_and(|end| end <= fired) {
                let mute = self.closing.is_some();
                return Poll::Ready(if mute { Event::Mute } else { Event::Quiet });
            }
            if head_end.is_some_and(|end| end <= fired) {
                return Poll::Ready(Event::HeadDue);
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

    /// When a client that has everything, and was told that the connection ends, must have said so too: h2 waits
    /// for the reply to a ping (RFC 9113 §6.8), and some never send one.
    fn mute_end(&self) -> Option<Instant> {
        let served = self.streams.is_empty() && !self.unsent.is_blocked();
        let mute = self.closing.is_some() && served && self.unsent.is_empty();
        mute.then(|| self.closing_since.max(self.quiet_since) + SILENCE)
    }
}

impl<S: AsyncWrite + Closing + Unpin> Serving<S> {
    pub(super) fn ping(&mut self) {
        let sent = self
            .pings
            .as_mut()
            .is_some_and(|pings| pings.send_ping(h2::Ping::opaque()).is_ok());
        self.ping_open = sent;
        self.ping_at = Instant::now() + if sent { PING_ANSWER } else { PING_EVERY };
        self.was_heard();
    }

    /// Whether the client was heard since this was last asked, or its TCP has acknowledged something: the reply
    /// waits behind what is on its way to a slow one, which then has as long again.
    pub(super) fn was_heard(&mut self) -> bool {
        let now = self.socket.acknowledged();
        let before = std::mem::replace(&mut self.acknowledged, now);
        let heard = self.heard.swap(false, Ordering::Relaxed) || now > before;
        if heard && self.ping_open {
            self.ping_at = Instant::now() + PING_ANSWER;
        }
        heard
    }
}
