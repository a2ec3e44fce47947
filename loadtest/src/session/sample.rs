//! What a session gathered: single values until the block ends, then histograms.

use std::time::Duration;

use crate::net::counts::Bytes;

/// Sums and single values of one block.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    pub ops: u64,
    pub units: u64,
    pub errors: u64,
    pub unserved: u64,
    /// Connections opened again because the server had announced the end of those before.
    pub reopened: u64,
    pub bytes: Bytes,
    /// Nanoseconds each.
    pub latency: Vec<u64>,
    pub first: Vec<u64>,
    pub gap: Vec<u64>,
    pub late: Vec<u64>,
}

impl Sample {
    pub fn record(&mut self, latency: Duration, units: u64, bytes: &Bytes) {
        self.ops += 1;
        self.units += units;
        self.bytes.add(bytes);
        self.latency.push(latency.as_nanos() as u64);
    }

    pub fn absorb(&mut self, mut other: Self) {
        self.ops += other.ops;
        self.units += other.units;
        self.errors += other.errors;
        self.unserved += other.unserved;
        self.reopened += other.reopened;
        self.bytes.add(&other.bytes);
        self.latency.append(&mut other.latency);
        self.first.append(&mut other.first);
        self.gap.append(&mut other.gap);
        self.late.append(&mut other.late);
    }
}

/// What the operation under way has of connections that it left, and does not have of those it opened.
#[derive(Debug, Default)]
pub(super) struct Reopening {
    /// Its bytes on the connections before.
    pub(super) bytes: Bytes,
    /// Until the next one was there.
    pub(super) time: Duration,
    /// Connections it opened.
    pub(super) count: u64,
}
