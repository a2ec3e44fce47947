//! What the settings ask for, and what that takes apart from connections.

/// Bytes of a span that waits for the collector, with the longest `tracestate` that is kept.
pub const SPAN_MEMORY: u64 = 1 << 10;
/// Bytes of a signature that is remembered: two hash tables that double as they grow, each of which holds up to
/// twice its part of `replay-table`.
const REPLAY_MEMORY: u64 = 60;
/// Standard streams, sockets that listen, certificate files and the watch of them, a page of metrics.
const FILES: u64 = 64;
/// Sockets of a name lookup: those that an egress makes at once.
const LOOKUPS: u64 = 32;
/// The runtime of a worker.
const DESCRIPTORS_PER_WORKER: u64 = 4;

/// What the settings ask for.
#[derive(Clone, Debug, Default)]
pub struct Demand {
    /// Each listener.
    pub listeners: Vec<Asked>,
    /// Connections of the admin port.
    pub admin: usize,
    /// Worker threads.
    pub workers: usize,
    /// Spans that may wait for the collector.
    pub spans: usize,
    /// Signatures that all listeners together remember (`replay-table`).
    pub replay: usize,
    /// The admin port asks the app its probes: a socket more for each of its connections.
    pub probes: bool,
    /// Egresses, each of which looks names up.
    pub egresses: usize,
    /// Agents and collectors, which this process connects to.
    pub services: usize,
}

/// What the settings of one listener ask for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `max-connections`.
    pub connections: usize,
    /// Somebody wrote that number; a default gives way without a warning.
    pub explicit: bool,
    /// `max-handshakes`: connections, among the others, whose handshake waits for the client.
    pub handshakes: usize,
}

impl Demand {
    /// Descriptors that no client of a listener gets.
    pub(super) fn descriptors(&self) -> u64 {
        let admin = self.admin as u64;
        let probes = if self.probes { admin } else { 0 };
        let workers = DESCRIPTORS_PER_WORKER.saturating_mul(self.workers as u64);
        let lookups = LOOKUPS.saturating_mul(self.egresses as u64);
        FILES + workers + admin + probes + lookups + self.services as u64
    }

    /// Bytes of spans.
    pub(super) fn span_memory(&self) -> u64 {
        SPAN_MEMORY.saturating_mul(self.spans as u64)
    }

    /// Bytes of signatures that were seen.
    pub(super) fn replay_memory(&self) -> u64 {
        REPLAY_MEMORY.saturating_mul(self.replay as u64)
    }
}
