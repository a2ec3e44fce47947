//! Between requests and the collector: a bounded queue. What finds no room is counted and dropped, so that
//! a collector that is slow or gone costs memory that is known, and no time of a request.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::settings::Settings;
use super::span::Ended;
use crate::metrics::SpanMetrics;
use crate::tls::client::ClientTls;

/// Spans of one request to the collector.
pub(super) const BATCH: usize = 512;

/// Where spans go at present, if anywhere. A reload replaces it; connections that are open keep theirs.
#[derive(Default)]
pub struct Traces {
    current: ArcSwapOption<Exporter>,
    /// Those that were replaced, as long as connections use them.
    before: Mutex<Vec<Arc<Exporter>>>,
}

/// The way to one collector. Its thread ends when the last of those who use it has gone, and what is
/// queued then has left.
pub struct Exporter {
    pub(super) settings: Settings,
    pub(super) tls: Option<Arc<ClientTls>>,
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
    /// Told whether nothing is left.
    pub(super) done: oneshot::Sender<bool>,
}

impl Traces {
    /// Where the spans of a new connection go.
    pub fn current(&self) -> Option<Arc<Exporter>> {
        self.current.load_full()
    }

    /// Where the spans of later connections go.
    pub fn replace(&self, exporter: Option<Arc<Exporter>>) {
        let replaced = self.current.swap(exporter);
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        before.extend(replaced);
        before.retain(|unused| Arc::strong_count(unused) > 1);
    }

    /// Sends what is queued, for so long at most. Whether nothing is left.
    pub async fn flush(&self, longest: Duration) -> bool {
        let until = Instant::now() + longest;
        let mut exporters: Vec<_> = self.current().into_iter().collect();
        {
            let before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
            exporters.extend(before.iter().cloned());
        }
        let flushes = exporters.iter().map(|exporter| exporter.flush(until));
        let flushed = futures_util::future::join_all(flushes).await;
        flushed.into_iter().all(|all| all)
    }
}

impl Exporter {
    /// What it was told.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What its connections are made with, if the collector is behind https.
    pub fn tls(&self) -> Option<&Arc<ClientTls>> {
        self.tls.as_ref()
    }

    /// Whether nothing is left.
    async fn flush(&self, until: Instant) -> bool {
        let (done, flushed) = oneshot::channel();
        let asked = self.flushes.send(Flush { until, done });
        // A thread that is gone has nothing left to say.
        asked.is_err() || matches!(tokio::time::timeout_at(until, flushed).await, Ok(Ok(true)))
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
