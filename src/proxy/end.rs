//! The one way a client's connection ends (RFC 9112 §9.6): what is left is sent, our direction is
//! closed, and what the client still sends is dropped until it has what we sent and closes too.
//!
//! A socket that is closed with bytes unread, or that bytes meet later, is reset, and a reset takes
//! what the client has not read yet.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::drain::{Phase, PhaseWait, Watch};
use crate::io::Closing;
use crate::proxy::codec::linger::{LISTENED, LISTENED_BYTES, SILENCE};
use crate::proxy::error::Outcome;

/// How much of a client that broke the protocol: what was under way when it could know, not a flood.
const REFUSED_BYTES: usize = 8 * 1024 * 1024;
/// How long a client may take nothing of what is left for it.
const STALLED: Duration = Duration::from_secs(30);
/// How long a client may take altogether.
const LONGEST: Duration = Duration::from_mins(10);
/// The same for one that makes room for others.
pub(crate) const ROOM_IS_WANTED: Duration = Duration::from_millis(500);
/// Between two looks at what is acknowledged: the kernel tells nobody. The longer, the rarer.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const RAREST_LOOK: Duration = Duration::from_millis(500);
/// close_notify and FIN: a client that has closed need not have acknowledged our close_notify.
const FAREWELL: usize = 25;

/// What is being ended.
#[derive(Clone, Copy)]
pub(crate) enum Sent {
    /// Complete messages.
    Whole,
    /// A message that broke off: the client must not take its end for an orderly one.
    Broken,
}

/// Whether the client has got what was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Delivery {
    Complete,
    /// The client went away before.
    Gone,
    /// The client was given up before.
    Incomplete,
}

/// Ends a connection that would end with `outcome`; how it really ended. `silent_since`: the client
/// has had nothing to say, and nothing new to read, since then.
pub(crate) async fn end<S: Closing>(
    stream: &mut S,
    sent: Sent,
    outcome: Outcome,
    silent_since: Instant,
    drain: &Watch,
) -> Outcome {
    let mut ending = Ending::new(stream, sent, silent_since, drain);
    match outcome {
        Outcome::Shed => ending.longest = ROOM_IS_WANTED,
        Outcome::ProtocolError => ending.most = REFUSED_BYTES,
        _ => {}
    }
    match poll_fn(|cx| ending.poll(cx)).await {
        Delivery::Gone if matches!(outcome, Outcome::Closed | Outcome::Drained) => {
            Outcome::ClientGone
        }
        Delivery::Complete | Delivery::Gone => outcome,
        Delivery::Incomplete if outcome == Outcome::Shed => outcome,
        Delivery::Incomplete if drain.is_draining() => Outcome::Cut,
        Delivery::Incomplete => Outcome::Timeout,
    }
}

struct Ending<'a, S> {
    stream: &'a mut S,
    whole: bool,
    /// The close is a reset, which drops what has not arrived, and the client hears of the end by nothing else.
    resets: bool,
    drain: &'a Watch,
    cut: PhaseWait,
    begun: Instant,
    longest: Duration,
    /// Bytes of the client that are dropped at most.
    most: usize,
    /// Our end is sent.
    finished: bool,
    /// The client's end was read.
    client_ended: bool,
    discarded: usize,
    /// The last sign of the client: bytes, or an acknowledgement.
    heard: Instant,
    /// Not acknowledged when last looked at.
    left: Option<usize>,
    /// When that last became less.
    taken: Instant,
    /// When the next look is due, and how long after it the one behind that.
    next: Instant,
    pause: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<'a, S: Closing> Ending<'a, S> {
    fn new(stream: &'a mut S, sent: Sent, silent_since: Instant, drain: &'a Watch) -> Self {
        let begun = Instant::now();
        let whole = matches!(sent, Sent::Whole);
        let resets = !whole && stream.before_reset().is_some();
        Self {
            stream,
            whole,
            resets,
            drain,
            cut: drain.reached(Phase::Aborting),
            begun,
            longest: LONGEST,
            most: LISTENED_BYTES,
            finished: false,
            client_ended: false,
            discarded: 0,
            heard: silent_since,
            left: None,
            taken: begun,
            next: (silent_since + SILENCE).min(begun + FIRST_LOOK),
            pause: FIRST_LOOK,
            timer: None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        if !self.finished {
            match self.stream.poll_finish(cx, self.whole) {
                Poll::Ready(Ok(())) => self.finished = true,
                Poll::Ready(Err(_)) => return Poll::Ready(Delivery::Gone),
                Poll::Pending => {}
            }
        }
        if self.poll_client(cx).is_ready() {
            return Poll::Ready(self.given_up());
        }
        // The kernel delivers what is left, and a client that has closed sends nothing that could
        // meet a closed socket: only the end of the process is worth a look.
        if self.finished && self.client_ended && !self.resets && !self.drain.is_draining() {
            return Poll::Ready(Delivery::Complete);
        }
        let cut = Pin::new(&mut self.cut).poll(cx).is_ready();
        loop {
            let now = Instant::now();
            let due = cut || self.client_ended || now >= self.next;
            if due && let Poll::Ready(delivery) = self.look(now, cut) {
                return Poll::Ready(delivery);
            }
            let next = self.next;
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(sleep_until(next)));
            if timer.deadline() != next {
                timer.as_mut().reset(next);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Drops what the client sends; ready when that is over by a reset or too much of it.
    fn poll_client(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.client_ended {
            match self.stream.poll_discard(cx) {
                Poll::Ready(Ok(0)) => self.client_ended = true,
                Poll::Ready(Ok(count)) => {
                    self.heard = Instant::now();
                    self.discarded += count;
                    if self.discarded > self.most {
                        return Poll::Ready(());
                    }
                }
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        Poll::Pending
    }

    /// The client went away by a reset. Many do once they have read what they wanted, so it is no
    /// loss unless something was seen to be missing.
    fn given_up(&self) -> Delivery {
        match self.left {
            Some(left) if left > FAREWELL => Delivery::Gone,
            _ if self.finished => Delivery::Complete,
            _ => Delivery::Gone,
        }
    }

    /// Asks the kernel what is left, and validates.
    fn look(&mut self, now: Instant, cut: bool) -> Poll<Delivery> {
        // A kernel that does not tell leaves the client's end, or its silence, as the only sign.
        let known = if self.resets {
            self.stream.before_reset()
        } else {
            self.stream.unacknowledged().ok()
        };
        let left = match (self.finished, known) {
            (true, known) => known.unwrap_or(0),
            (false, known) => known.unwrap_or(0).max(FAREWELL + 1),
        };
        if let Some(before) = self.left.replace(left)
            && left < before
        {
            self.taken = now;
            self.pause = FIRST_LOOK;
            // A close_notify is acknowledged by a client that reads nothing, too.
            if before > FAREWELL {
                self.heard = now;
            }
        }
        let delivered = left == 0 || self.client_ended && left <= FAREWELL && !self.resets;
        let silent = now >= self.heard + SILENCE
            || now >= self.taken + LISTENED
            || now >= self.begun + self.longest;
        if delivered && (self.client_ended || self.resets || silent || cut) {
            return Poll::Ready(Delivery::Complete);
        }
        if cut || now >= self.taken + STALLED || now >= self.begun + self.longest {
            return Poll::Ready(Delivery::Incomplete);
        }
        self.next = if delivered {
            (self.heard + SILENCE)
                .min(self.taken + LISTENED)
                .min(self.begun + self.longest)
        } else {
            now + self.pause
        };
        self.pause = (self.pause * 2).min(RAREST_LOOK);
        Poll::Pending
    }
}
