//! A client that alone is waited for: everybody else has done their part, and for a while nothing comes of
//! it, or it takes nothing. Its connection then makes room like an idle one when the listener is full.
//!
//! One that never keeps us waiting has none of this, and one that did keeps its timer, which is moved on
//! only when it fires.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// How long nothing may move at such a client before it counts as stalled.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same where the server may as well be the one that is waited for.
const TALK: Duration = Duration::from_mins(1);
/// The same where the kernel does not tell what a client takes.
const UNSEEN: Duration = Duration::from_secs(30);

/// Who has to do something before an exchange goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Awaited {
    /// Not the client alone.
    Others,
    /// The client alone: more of what it sends.
    Sending,
    /// The same of a call in which both sides may speak by turns (gRPC), and no head tells whose turn it is.
    Talking,
    /// The client alone: it takes nothing of what is sent to it.
    Reading,
}

/// A turn of an exchange in which nothing more can be forwarded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) awaited: Awaited,
    /// Something came or was forwarded in it.
    pub(crate) moved: bool,
    /// How long the client alone is waited for at most; `None` without end.
    pub(crate) limit: Option<Duration>,
}

impl Turn {
    /// Until nothing that moves counts as a stall.
    fn patience(self) -> Duration {
        self.limit.map_or(PATIENCE, |limit| limit.min(PATIENCE))
    }
}

/// Why a client is waited for no longer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum GivenUp {
    /// Its connection has to make room for another one.
    Shed,
    /// The limit passed.
    Timeout,
}

/// What has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    Nothing,
    /// Nothing has moved for too long.
    Stalled(Instant),
    /// It goes on after it had stalled.
    GoesOn,
    /// The limit passed.
    Timeout,
}

/// How long one client is waited for.
#[derive(Default)]
pub(crate) struct Patience(Option<Box<Wait>>);

struct Wait {
    /// Fires no later than the patience ends.
    timer: Pin<Box<Sleep>>,
    waits: bool,
    stalled: bool,
    /// Since when nothing has moved.
    since: Instant,
    /// Bytes that had left then.
    sent: u64,
    /// What its TCP had not acknowledged when last looked at.
    untaken: Option<usize>,
}

impl Patience {
    /// Whether nothing has moved for too long.
    pub(crate) fn is_stalled(&self) -> bool {
        self.0.as_ref().is_some_and(|wait| wait.stalled)
    }

    /// What was waited for is over; the timer stays for what comes.
    pub(crate) fn end(&mut self) {
        if let Some(wait) = &mut self.0 {
            wait.waits = false;
            wait.stalled = false;
        }
    }

    /// Asked at the end of each turn. `sent`: bytes that have left for the client; `untaken`: what it has not
    /// acknowledged of them, as far as the kernel tells.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        turn: Turn,
        sent: u64,
        untaken: impl Fn() -> Option<usize>,
    ) -> Change {
        if turn.awaited == Awaited::Others {
            let Some(wait) = &mut self.0 else {
                return Change::Nothing;
            };
            wait.waits = false;
            return wait.goes_on();
        }
        let patience = turn.patience();
        let wait = self.0.get_or_insert_with(|| Box::new(Wait::new(patience)));
        let mut change = Change::Nothing;
        if turn.moved || !wait.waits || wait.sent != sent {
            change = wait.goes_on();
            wait.begin(patience, sent);
        }
        if !wait.stalled && wait.is_over(cx, turn, &untaken) {
            wait.stalled = true;
            change = match change {
                // As far as anybody was told, it never went on.
                Change::GoesOn => Change::Nothing,
                _ => Change::Stalled(wait.since),
            };
        }
        // In gRPC it may be the server's turn as well.
        if wait.stalled
            && turn.awaited != Awaited::Talking
            && let Some(limit) = turn.limit
            && wait.is_past(cx, limit, turn.awaited, &untaken)
        {
            // Nobody was told of a stall of this very turn, so that nothing has to be taken back.
            wait.stalled = change == Change::Nothing;
            change = Change::Timeout;
        }
        change
    }
}

impl Wait {
    fn new(patience: Duration) -> Self {
        let now = Instant::now();
        Self {
            timer: Box::pin(sleep_until(now + patience)),
            waits: false,
            stalled: false,
            since: now,
            sent: 0,
            untaken: None,
        }
    }

    fn begin(&mut self, patience: Duration, sent: u64) {
        self.waits = true;
        self.since = Instant::now();
        self.sent = sent;
        self.untaken = None;
        let due = self.since + patience;
        if self.timer.deadline() > due {
            self.timer.as_mut().reset(due);
        }
    }

    fn goes_on(&mut self) -> Change {
        if std::mem::take(&mut self.stalled) {
            Change::GoesOn
        } else {
            Change::Nothing
        }
    }

    /// Whether nothing has moved for too long. A client that reads slowly takes what lies in the kernel for
    /// long before there is room for more: that is seen by two looks.
    fn is_over(
        &mut self,
        cx: &mut Context<'_>,
        turn: Turn,
        untaken: impl Fn() -> Option<usize>,
    ) -> bool {
        let patience = turn.patience();
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let mut due = self.since + patience;
            if now >= due {
                let left = match turn.awaited {
                    Awaited::Reading => untaken(),
                    _ => None,
                };
                let before = std::mem::replace(&mut self.untaken, left);
                // Without a first look there is nothing to compare with.
                let takes = before.map_or(left.is_some(), |before| left.unwrap_or(0) < before);
                let longest = match turn.awaited {
                    Awaited::Talking => TALK,
                    Awaited::Reading if left.is_none() => UNSEEN,
                    _ => patience,
                };
                if !takes && now >= self.since + longest {
                    return true;
                }
                if takes && before.is_some() {
                    self.since = now;
                }
                due = if takes {
                    now + patience
                } else {
                    self.since + longest
                };
            }
            self.timer.as_mut().reset(due);
        }
        false
    }

    /// Whether a client that has stalled is waited for no longer. One of which the kernel does not tell what it
    /// takes may be reading.
    fn is_past(
        &mut self,
        cx: &mut Context<'_>,
        limit: Duration,
        awaited: Awaited,
        untaken: impl Fn() -> Option<usize>,
    ) -> bool {
        loop {
            let now = Instant::now();
            if now >= self.since + limit {
                if awaited == Awaited::Sending {
                    return true;
                }
                let Some(left) = untaken() else {
                    return false;
                };
                let before = self.untaken.replace(left);
                if before.is_some_and(|before| left >= before) {
                    return true;
                }
                self.since = now;
            }
            self.timer.as_mut().reset(self.since + limit);
            if self.timer.as_mut().poll(cx).is_pending() {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests;
