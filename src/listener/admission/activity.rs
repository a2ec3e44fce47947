//! What a connection is doing, in one word that the connection writes and the listener reads: work
//! under way, idle since when, or told to close.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::task::AtomicWaker;
use strum::{IntoStaticStr, VariantNames};

use super::wanted::Wanted;
use crate::fairness::Source;

/// Work is under way.
const BUSY: u64 = 0;
/// The listener told the connection to close.
const SHED: u64 = 1;
/// In the lowest bits of a time: the handshake has not completed; a client alone is waited for.
const HALF_OPEN: u64 = 1;
const STALLED: u64 = 2;

/// Times are counted from here.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What one connection is doing.
pub struct Activity {
    /// `BUSY`, `SHED`, or microseconds since `START`, moved by two bits and above `SHED`.
    state: AtomicU64,
    /// By the address of the socket.
    accepted_from: Source,
    /// By the address that a proxy in front says.
    forwarded_for: OnceLock<Source>,
    told: AtomicWaker,
    wanted: Arc<Wanted>,
}

/// What a connection was when it was told to close.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Shed {
    /// Its handshake had not completed, or no request had come yet.
    Handshake,
    /// Between two requests.
    Idle,
    /// In a request that waited for the client alone.
    Stalled,
}

/// Every label of a shed connection.
pub(crate) const SHED_REASONS: &[&str] = Shed::VARIANTS;

impl Shed {
    /// The label, one of `SHED_REASONS`.
    pub(super) fn reason(self) -> &'static str {
        self.into()
    }
}

impl Activity {
    /// Half-open from now on.
    pub(super) fn new(client: IpAddr, wanted: Arc<Wanted>) -> Self {
        Self {
            state: AtomicU64::new(idle_word(Instant::now()) | HALF_OPEN),
            accepted_from: Source::from(client),
            forwarded_for: OnceLock::new(),
            told: AtomicWaker::new(),
            wanted,
        }
    }

    /// The connection is forwarded for another client: from now on it counts as that one's.
    pub fn forwarded_for(&self, client: IpAddr) {
        self.forwarded_for.get_or_init(|| Source::from(client));
    }

    /// Work begins. False: the connection was told to close, and must not begin.
    pub fn begin(&self) -> bool {
        let mut seen = self.state.load(Ordering::Relaxed);
        while seen != SHED {
            match self
                .state
                .compare_exchange_weak(seen, BUSY, Ordering::SeqCst, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// No work is under way since then.
    pub fn idle(&self, since: Instant) {
        self.may_go(idle_word(since));
    }

    /// The work under way waits for the client alone since then.
    pub fn stalled(&self, since: Instant) {
        self.may_go(idle_word(since) | STALLED);
    }

    fn may_go(&self, word: u64) {
        let set = |state| (state != SHED).then_some(word);
        if self
            .state
            .fetch_update(Ordering::SeqCst, Ordering::Relaxed, set)
            .is_ok()
        {
            self.wanted.tell();
        }
    }

    /// Ready when the connection was told to close.
    pub fn poll_shed(&self, cx: &Context<'_>) -> Poll<()> {
        self.told.register(cx.waker());
        // After the registration: a change in between has woken nobody.
        match self.state.load(Ordering::Acquire) {
            SHED => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }

    /// Completes when the connection was told to close.
    pub async fn shed(&self) {
        std::future::poll_fn(|cx| self.poll_shed(cx)).await;
    }

    /// The word of an idle connection.
    pub(super) fn idle_since(&self) -> Option<u64> {
        let word = self.state.load(Ordering::Relaxed);
        (word > SHED).then_some(word)
    }

    /// Tells the connection to close if it is idle since exactly then.
    pub(super) fn tell_to_close(&self, word: u64) -> Option<Shed> {
        self.state
            .compare_exchange(word, SHED, Ordering::SeqCst, Ordering::Relaxed)
            .ok()?;
        self.told.wake();
        Some(match word & (HALF_OPEN | STALLED) {
            0 => Shed::Idle,
            STALLED => Shed::Stalled,
            _ => Shed::Handshake,
        })
    }

    /// The network of the client.
    pub(super) fn source(&self) -> Source {
        *self.forwarded_for.get().unwrap_or(&self.accepted_from)
    }
}

/// Above `SHED`, its lowest bits free.
fn idle_word(since: Instant) -> u64 {
    let microseconds = since.saturating_duration_since(*START).as_micros();
    (u64::try_from(microseconds).unwrap_or(u64::MAX / 8) + 1) << 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn activity() -> Activity {
        Activity::new(Ipv4Addr::LOCALHOST.into(), Arc::default())
    }

    #[test]
    fn only_an_idle_connection_is_told_to_close() {
        let busy = activity();
        let before = busy.idle_since();
        assert!(busy.begin());
        assert_eq!(busy.idle_since(), None);
        assert_eq!(before.and_then(|word| busy.tell_to_close(word)), None);
        busy.idle(Instant::now());
        let told = busy.idle_since().and_then(|word| busy.tell_to_close(word));
        assert_eq!(told, Some(Shed::Idle));
        assert!(!busy.begin());
        busy.idle(Instant::now());
        assert_eq!(busy.idle_since(), None);
        let waiting = activity();
        waiting.stalled(Instant::now());
        let told = waiting.idle_since();
        let told = told.and_then(|word| waiting.tell_to_close(word));
        assert_eq!(told, Some(Shed::Stalled));
    }

    #[test]
    fn a_connection_that_was_never_busy_is_half_open() {
        let new = activity();
        let told = new.idle_since().and_then(|word| new.tell_to_close(word));
        assert_eq!(told, Some(Shed::Handshake));
    }
}
