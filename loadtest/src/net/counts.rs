//! What one connection, or all connections to one target, sent and received. Bytes are those below TLS
//! (record headers included, TCP/IP headers not), seen from the client: up is sent, down is received.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

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

    fn zip(&mut self, other: &Self, join: impl Fn(u64, u64) -> u64) {
        self.handshakes = join(self.handshakes, other.handshakes);
        self.handshake_up = join(self.handshake_up, other.handshake_up);
        self.handshake_down = join(self.handshake_down, other.handshake_down);
        self.tickets = join(self.tickets, other.tickets);
        self.wire_up = join(self.wire_up, other.wire_up);
        self.wire_down = join(self.wire_down, other.wire_down);
        self.plain_up = join(self.plain_up, other.plain_up);
        self.plain_down = join(self.plain_down, other.plain_down);
    }
}

/// The live form of [`Bytes`].
#[derive(Debug, Default)]
pub struct Counter {
    handshakes: AtomicU64,
    handshake_up: AtomicU64,
    handshake_down: AtomicU64,
    tickets: AtomicU64,
    wire_up: AtomicU64,
    wire_down: AtomicU64,
    plain_up: AtomicU64,
    plain_down: AtomicU64,
}

impl Counter {
    pub fn read(&self) -> Bytes {
        Bytes {
            handshakes: self.handshakes.load(Relaxed),
            handshake_up: self.handshake_up.load(Relaxed),
            handshake_down: self.handshake_down.load(Relaxed),
            tickets: self.tickets.load(Relaxed),
            wire_up: self.wire_up.load(Relaxed),
            wire_down: self.wire_down.load(Relaxed),
            plain_up: self.plain_up.load(Relaxed),
            plain_down: self.plain_down.load(Relaxed),
        }
    }

    pub(super) fn handshake_done(&self, up: u64, down: u64) {
        self.handshakes.fetch_add(1, Relaxed);
        self.handshake_up.fetch_add(up, Relaxed);
        self.handshake_down.fetch_add(down, Relaxed);
    }

    pub(super) fn ticket(&self, bytes: usize) {
        self.tickets.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn wire(&self, up: usize, down: usize) {
        self.wire_up.fetch_add(up as u64, Relaxed);
        self.wire_down.fetch_add(down as u64, Relaxed);
    }

    pub(super) fn plain(&self, up: usize, down: usize) {
        self.plain_up.fetch_add(up as u64, Relaxed);
        self.plain_down.fetch_add(down as u64, Relaxed);
    }

    fn add(&self, bytes: &Bytes) {
        self.handshakes.fetch_add(bytes.handshakes, Relaxed);
        self.handshake_up.fetch_add(bytes.handshake_up, Relaxed);
        self.handshake_down.fetch_add(bytes.handshake_down, Relaxed);
        self.tickets.fetch_add(bytes.tickets, Relaxed);
        self.wire_up.fetch_add(bytes.wire_up, Relaxed);
        self.wire_down.fetch_add(bytes.wire_down, Relaxed);
        self.plain_up.fetch_add(bytes.plain_up, Relaxed);
        self.plain_down.fetch_add(bytes.plain_down, Relaxed);
    }
}

/// One connection's counter; what it counted goes to the target's totals when the connection is gone.
#[derive(Debug, Default)]
pub struct Meter {
    counter: Counter,
    totals: Option<Arc<Counter>>,
}

impl Meter {
    pub fn for_totals(totals: &Arc<Counter>) -> Arc<Self> {
        Arc::new(Self {
            counter: Counter::default(),
            totals: Some(Arc::clone(totals)),
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
        if let Some(totals) = &self.totals {
            totals.add(&self.counter.read());
        }
    }
}
