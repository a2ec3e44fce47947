//! Between requests and the collector: a bounded queue. What finds no room is counted and dropped, so that
//! a collector that is slow or gone costs memory that is known, and no time of a request.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::settings::Settings;
use super::span::Ended;
use crate::metrics::SpanMetrics;

/// Spans of one request to the collector.
pub(super) const BATCH: usize = 512;

/// Where spans go at present, if anywhere. A reload replaces it; connections that are open keep theirs.
#[derive(Default)]
pub struct Traces(ArcSwapOption<Exporter>);

/// The way to one collector. Its thread ends when the last of those who use it has gone, and what is
/// queued then has left.
pub struct Exporter {
    pub(super) settings: Settings,
    pub(super) queue: mpsc::Sender<Ended>,
    /// Spans that are worth a request to the collector.
    pub(super) worthwhile: usize,
    pub(super) wake: Arc<Notify>,
    pub(super) flushes: mpsc::UnboundedSender<Flush>,
    pub(super) metrics: SpanMetrics,
}

/// To send what is queued now.
pub(super) struct Flush {
    pub(super) until: Instant,
    pub(super) done: oneshot::Sender<()>,
}

impl Traces {
    /// Where the spans of a new connection go.
    pub fn current(&self) -> Option<Arc<Exporter>> {
        self.0.load_full()
    }

    /// Where the spans of later connections go.
    pub fn replace(&self, exporter: Option<Exporter>) {
        self.0.store(exporter.map(Arc::new));
    }

    /// Sends what is queued, for so long at most. Whether nothing is left.
    pub async fn flush(&self, longest: Duration) -> bool {
        let Some(exporter) = self.current() else {
            return true;
        };
        let (done, flushed) = oneshot::channel();
        let until = Instant::now() + longest;
        let asked = exporter.flushes.send(Flush { until, done });
        // A thread that is gone has nothing left to say.
        asked.is_err() || matches!(tokio::time::timeout_at(until, flushed).await, Ok(Ok(())))
    }
}

impl Exporter {
    /// What it was told.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn samples(&self, trace: &[u8; 16]) -> bool {
        self.settings.sample.admits(trace)
    }

    pub(super) fn add(&self, ended: Ended) {
        if self.queue.try_send(ended).is_err() {
            self.metrics.queue_full.inc();
            return;
        }
        let queued = self.queue.max_capacity() - self.queue.capacity();
        // Below that nobody is woken: the exporter looks by itself.
        if queued >= self.worthwhile {
            self.wake.notify_one();
        }
    }
}
