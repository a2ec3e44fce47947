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

/// What has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    Nothing,
    /// Nothing has moved for too long.
    Stalled(Instant),
    /// It goes on after it had stalled.
    GoesOn,
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

    /// Asked at the end of each turn. `moved`: something came or was forwarded in this turn; `sent`: bytes that
    /// have left for the client; `untaken`: what it has not acknowledged of them, as far as the kernel tells.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        (awaited, moved): (Awaited, bool),
        sent: u64,
        untaken: impl Fn() -> Option<usize>,
    ) -> Change {
        if awaited == Awaited::Others {
            let Some(wait) = &mut self.0 else {
                return Change::Nothing;
            };
            wait.waits = false;
            return wait.goes_on();
        }
        let wait = self.0.get_or_insert_with(|| Box::new(Wait::new()));
        let mut change = Change::Nothing;
        if moved || !wait.waits || wait.sent != sent {
            change = wait.goes_on();
            wait.waits = true;
            wait.since = Instant::now();
            wait.sent = sent;
            wait.untaken = None;
        }
        if !wait.stalled && wait.is_over(cx, awaited, untaken) {
            wait.stalled = true;
            change = Change::Stalled(wait.since);
        }
        change
    }
}

impl Wait {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            timer: Box::pin(sleep_until(now + PATIENCE)),
            waits: false,
            stalled: false,
            since: now,
            sent: 0,
            untaken: None,
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
        awaited: Awaited,
        untaken: impl Fn() -> Option<usize>,
    ) -> bool {
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let mut due = self.since + PATIENCE;
            if now >= due {
                let left = match awaited {
                    Awaited::Reading => untaken(),
                    _ => None,
                };
                let before = std::mem::replace(&mut self.untaken, left);
                // Without a first look there is nothing to compare with.
                let takes = before.map_or(left.is_some(), |before| left.unwrap_or(0) < before);
                let longest = match awaited {
                    Awaited::Talking => TALK,
                    Awaited::Reading if left.is_none() => UNSEEN,
                    _ => PATIENCE,
                };
                if !takes && now >= self.since + longest {
                    return true;
                }
                if takes && before.is_some() {
                    self.since = now;
                }
                due = if takes {
                    now + PATIENCE
                } else {
                    self.since + longest
                };
            }
            self.timer.as_mut().reset(due);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::time::advance;

    use super::*;

    fn poll(patience: &mut Patience, turn: (Awaited, bool), sent: u64, left: usize) -> Change {
        let mut cx = Context::from_waker(Waker::noop());
        patience.poll(&mut cx, turn, sent, || Some(left))
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_client_of_which_nothing_comes_has_stalled() {
        let mut patience = Patience::default();
        let sending = (Awaited::Sending, false);
        assert_eq!(poll(&mut patience, sending, 0, 0), Change::Nothing);
        advance(PATIENCE / 2).await;
        let came = (Awaited::Sending, true);
        assert_eq!(poll(&mut patience, came, 0, 0), Change::Nothing);
        advance(PATIENCE / 2).await;
        assert_eq!(poll(&mut patience, sending, 0, 0), Change::Nothing);
        advance(PATIENCE).await;
        let stalled = poll(&mut patience, sending, 0, 0);
        assert!(matches!(stalled, Change::Stalled(_)), "{stalled:?}");
        assert!(patience.is_stalled());
        assert_eq!(poll(&mut patience, sending, 0, 0), Change::Nothing);
        assert_eq!(poll(&mut patience, came, 0, 0), Change::GoesOn);
        advance(PATIENCE * 2).await;
        let others = (Awaited::Others, false);
        assert_eq!(poll(&mut patience, others, 0, 0), Change::Nothing);
        assert!(!patience.is_stalled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_acknowledges_reads() {
        let mut patience = Patience::default();
        let reading = (Awaited::Reading, false);
        for left in [900, 900, 800, 700, 600] {
            assert_eq!(poll(&mut patience, reading, 1, left), Change::Nothing);
            advance(PATIENCE).await;
        }
        // A partial write.
        assert_eq!(poll(&mut patience, reading, 2, 600), Change::Nothing);
        advance(PATIENCE).await;
        assert_eq!(poll(&mut patience, reading, 2, 600), Change::Nothing);
        advance(PATIENCE).await;
        let stalled = poll(&mut patience, reading, 2, 600);
        assert!(matches!(stalled, Change::Stalled(_)), "{stalled:?}");
    }

    /// Looks once in half a patience; `left` says what the kernel tells.
    async fn stalls_after(awaited: Awaited, left: impl Fn(u32) -> Option<usize>) -> Duration {
        let (mut patience, began) = (Patience::default(), Instant::now());
        for look in 0..60 {
            let mut cx = Context::from_waker(Waker::noop());
            let turn = (awaited, false);
            if let Change::Stalled(_) = patience.poll(&mut cx, turn, 0, || left(look)) {
                return began.elapsed();
            }
            advance(PATIENCE / 2).await;
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn who_may_be_waiting_as_well_has_longer() {
        let sending = stalls_after(Awaited::Sending, |_| None).await;
        assert_eq!(sending, PATIENCE);
        let talking = stalls_after(Awaited::Talking, |_| None).await;
        assert_eq!(talking, TALK);
        let unseen = stalls_after(Awaited::Reading, |_| None).await;
        assert_eq!(unseen, UNSEEN);
        // It took all that there was, and gives its window back late.
        let all = stalls_after(Awaited::Reading, |look| Some(900 * usize::from(look < 3))).await;
        assert!(all > PATIENCE * 2, "{all:?}");
        let nothing = stalls_after(Awaited::Reading, |_| Some(900)).await;
        assert_eq!(nothing, PATIENCE * 2);
    }
}
