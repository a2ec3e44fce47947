//! Families about the spans of traces. Only where traces are exported.

use prometheus::{IntCounter, IntCounterVec};

use super::families::Families;

/// The families.
pub(super) struct Spans {
    exported: IntCounterVec,
    dropped: IntCounterVec,
    unscraped: IntCounter,
}

impl Spans {
    pub(super) fn register(family: &Families<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            exported: family.counter(
                "spans_exported_total",
                "Spans that the collector took, where traces are exported.",
                &[],
            )?,
            dropped: family.counter(
                "spans_dropped_total",
                "Spans that no collector has: the queue was full, the collector rejected them, there was none until the end, or a fault of this program.",
                &["reason"],
            )?,
            unscraped: IntCounter::new("unscraped", "Registered nowhere.")?,
        })
    }

    /// The families at zero.
    pub(super) fn resolved(&self, panics: IntCounter) -> SpanMetrics {
        let dropped = |reason| self.dropped.with_label_values(&[reason]);
        SpanMetrics {
            exported: self.exported.with_label_values::<&str>(&[]),
            queue_full: dropped("queue_full"),
            rejected: dropped("rejected"),
            unreachable: dropped("unreachable"),
            internal: dropped("internal"),
            unscraped: self.unscraped.clone(),
            panics,
        }
    }
}

/// The families, resolved.
#[derive(Clone)]
pub struct SpanMetrics {
    /// The collector took them.
    pub exported: IntCounter,
    /// The queue had no room.
    pub queue_full: IntCounter,
    /// The collector said that it does not want them.
    pub rejected: IntCounter,
    /// No collector took them, as often as it was tried.
    pub unreachable: IntCounter,
    /// The export panicked while it sent them.
    pub internal: IntCounter,
    /// For bytes of connections to the collector, which are no traffic of a listener.
    pub unscraped: IntCounter,
    /// The export panicked, and goes on.
    pub panics: IntCounter,
}
