//! What one connection, or all connections to one target, sent and received. Bytes are those below TLS
//! (record headers included, TCP/IP headers not), seen from the client: up is sent, down is received.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// Byte sums of a connection, a block or a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bytes {
    /// Completed handshakes these sums hold.
    pub handshakes: u64,
    /// Up to and including the client's Finished.
    pub handshake_up: u64,
    /// Up to and including the server's Finished; tickets are apart.
    pub handshake_down: u64,
    /// NewSessionTicket records between the handshake and the first application data.
    pub tickets: u64,
    /// Everything sent, handshake included.
    pub wire_up: u64,
    /// Everything received, handshake and tickets included.
    pub wire_down: u64,
    /// Application bytes given to TLS.
    pub plain_up: u64,
    /// Application bytes taken out of TLS.
    pub plain_down: u64,
}

impl Bytes {
    /// Adds another sum to this one.
    pub fn add(&mut self, other: &Self) {
        self.zip(other, u64::wrapping_add);
    }

    /// What came since an earlier reading.
    #[must_use]
    pub fn since(mut self, earlier: &Self) -> Self {
        self.zip(earlier, u64::saturating_sub);
        self
    }

    /// Each of them.
    pub fn sums(mut self) -> [u64; 8] {
        self.places().map(|sum| *sum)
    }

    fn zip(&mut self, other: &Self, join: impl Fn(u64, u64) -> u64) {
        for (mine, theirs) in self.places().into_iter().zip(other.sums()) {
            *mine = join(*mine, theirs);
        }
    }

    fn places(&mut self) -> [&mut u64; 8] {
        [
            &mut self.handshakes,
            &mut self.handshake_up,
            &mut self.handshake_down,
            &mut self.tickets,
            &mut self.wire_up,
            &mut self.wire_down,
            &mut self.plain_up,
            &mut self.plain_down,
        ]
    }
}

/// The live form of [`Bytes`].
#[derive(Debug, Default)]
pub struct Counter(Mutex<Bytes>);

impl Counter {
    pub fn read(&self) -> Bytes {
        *self.lock()
    }

    pub(super) fn handshake_done(&self, up: u64, down: u64) {
        let mut sums = self.lock();
        sums.handshakes += 1;
        sums.handshake_up += up;
        sums.handshake_down += down;
    }

    pub(super) fn ticket(&self, bytes: usize) {
        self.lock().tickets += bytes as u64;
    }

    pub(super) fn wire(&self, up: usize, down: usize) {
        let mut sums = self.lock();
        sums.wire_up += up as u64;
        sums.wire_down += down as u64;
    }

    pub(super) fn plain(&self, up: usize, down: usize) {
        let mut sums = self.lock();
        sums.plain_up += up as u64;
        sums.plain_down += down as u64;
    }

    fn lock(&self) -> MutexGuard<'_, Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's counter; what it counted goes to the target's totals when the connection is gone.
#[derive(Debug, Default)]
pub struct Meter {
    counter: Counter,
    totals: Arc<Counter>,
}

impl Meter {
    pub fn for_totals(totals: &Arc<Counter>) -> Arc<Self> {
        Arc::new(Self {
            counter: Counter::default(),
            totals: Arc::clone(totals),
        })
    }

    pub fn read(&self) -> Bytes {
        self.counter.read()
    }

    pub(super) fn counter(&self) -> &Counter {
        &self.counter
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.totals.lock().add(&self.counter.read());
    }
}
