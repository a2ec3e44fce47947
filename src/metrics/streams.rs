//! Families about responses that come in pieces over time: token streams. Only of listeners that measure them.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntGauge, IntGaugeVec};

use super::buckets::{GAP_SECONDS, REQUEST_SECONDS};
use super::families::Families;
use super::labels::{self, RequestProtocol};

/// The families.
pub(super) struct Streams {
    open: IntGaugeVec,
    first: HistogramVec,
    gap: HistogramVec,
}

impl Streams {
    pub(super) fn register(family: &Families<'_>) -> Result<Self, prometheus::Error> {
        let labels = &["listener", "protocol"];
        Ok(Self {
            open: family.gauge(
                "streams_open",
                "Streamed responses under way, where a listener measures them.",
                labels,
            )?,
            first: family.histogram(
                "stream_first_piece_seconds",
                "Request head read to the first bytes of a streamed response's body: time to first token.",
                REQUEST_SECONDS,
                labels,
            )?,
            gap: family.histogram(
                "stream_gap_seconds",
                "Between two pieces of a streamed response's body: time between tokens.",
                GAP_SECONDS,
                labels,
            )?,
        })
    }

    /// What measures one listener's streams.
    pub(super) fn of(&self, name: &str) -> Arc<StreamMetrics> {
        let histograms = |family: &HistogramVec| {
            labels::per_protocol(|protocol| family.with_label_values(&[name, protocol]))
        };
        Arc::new(StreamMetrics {
            open: labels::per_protocol(|protocol| self.open.with_label_values(&[name, protocol])),
            first: histograms(&self.first),
            gap: histograms(&self.gap),
        })
    }
}

/// The families of one listener, resolved once.
pub struct StreamMetrics {
    open: [IntGauge; RequestProtocol::COUNT],
    first: [Histogram; RequestProtocol::COUNT],
    gap: [Histogram; RequestProtocol::COUNT],
}

impl StreamMetrics {
    /// A stream begins (1) or ends (-1).
    pub fn open(&self, protocol: RequestProtocol, change: i64) {
        self.open[protocol as usize].add(change);
    }

    /// The first bytes of a body came.
    pub fn first(&self, protocol: RequestProtocol, after: Duration) {
        self.first[protocol as usize].observe(after.as_secs_f64());
    }

    /// Further ones came.
    pub fn gap(&self, protocol: RequestProtocol, after: Duration) {
        self.gap[protocol as usize].observe(after.as_secs_f64());
    }
}
