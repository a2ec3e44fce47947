//! Families about handshakes.

use prometheus::{HistogramVec, IntCounterVec};

use super::buckets::{COMPUTE_SECONDS, HANDSHAKE_BYTES, HANDSHAKE_SECONDS};
use super::families::Families;

/// The families.
pub(super) struct Handshakes {
    pub(super) duration: HistogramVec,
    pub(super) compute: HistogramVec,
    pub(super) key_exchange: HistogramVec,
    pub(super) bytes: HistogramVec,
    pub(super) completed: IntCounterVec,
    pub(super) failed: IntCounterVec,
    pub(super) retried: IntCounterVec,
}

impl Handshakes {
    pub(super) fn register(family: &Families<'_>) -> Result<Self, prometheus::Error> {
        let labels = &["listener", "group", "kind"];
        Ok(Self {
            duration: family.histogram(
                "handshake_duration_seconds",
                "First ClientHello byte read to handshake complete.",
                HANDSHAKE_SECONDS,
                labels,
            )?,
            compute: family.histogram(
                "handshake_compute_seconds",
                "Time inside TLS code during a handshake; waiting for the peer is excluded.",
                COMPUTE_SECONDS,
                labels,
            )?,
            key_exchange: family.histogram(
                "key_exchange_seconds",
                "The server's key-exchange operation, without waiting.",
                COMPUTE_SECONDS,
                &["group"],
            )?,
            bytes: family.histogram(
                "handshake_bytes",
                "Bytes below TLS up to handshake completion, record headers included. Session tickets sent with completion are counted (direction out); application data that came along is not.",
                HANDSHAKE_BYTES,
                &["listener", "group", "kind", "direction"],
            )?,
            completed: family.counter(
                "handshakes_total",
                "Completed handshakes; offered is the strongest class the client listed.",
                &["listener", "group", "kind", "offered"],
            )?,
            failed: family.counter(
                "handshake_failures_total",
                "Connections that ended before their handshake did.",
                &["listener", "reason"],
            )?,
            retried: family.counter(
                "hello_retry_requests_total",
                "HelloRetryRequests sent, by the group asked for; resumed handshakes included.",
                &["listener", "group"],
            )?,
        })
    }
}
