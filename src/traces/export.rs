//! The thread that brings spans to the collector, in batches. It has a runtime of its own: a collector that
//! takes its time, and the encoding of what it gets, take none of a worker's.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::client::{Client, PostError};
use super::encode;
use super::queue::{BATCH, Exporter, Flush};
use super::settings::Settings;
use super::span::Ended;
use crate::listener::Accepting;
use crate::log_limit::LogLimit;
use crate::metrics::SpanMetrics;
use crate::panics;
use crate::tls::client::{ClientTls, ClientTlsError};
use crate::worker;

/// How long a span waits for others to share a request with.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often a batch is sent, and how long it waits in between; the queue holds what comes meanwhile.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// One warning in so long.
const WARNINGS: Duration = Duration::from_secs(10);

/// Why there is no exporter.
#[derive(Debug, thiserror::Error)]
pub enum ExporterError {
    /// The CAs of the collector.
    #[error("{0}")]
    Tls(ClientTlsError),
    /// No thread, or no runtime for it.
    #[error("cannot start the thread that exports traces: {0}")]
    Thread(std::io::Error),
}

impl Exporter {
    /// Starts the thread. The collector need not be there yet.
    pub fn start(
        settings: &Settings,
        metrics: &SpanMetrics,
        accepting: &Arc<Accepting>,
    ) -> Result<Self, ExporterError> {
        let tls = settings.tls.as_ref().map(ClientTls::load);
        let tls = tls.transpose().map_err(ExporterError::Tls)?.map(Arc::new);
        let (sender, queue) = mpsc::channel(settings.queue);
        let (flushes, asked) = mpsc::unbounded_channel();
        let wake = Arc::new(Notify::new());
        let worthwhile = BATCH.min(settings.queue / 2).max(1);
        let run = Run {
            client: Client::new(&settings.endpoint, tls.clone(), metrics, accepting),
            settings: settings.clone(),
            metrics: metrics.clone(),
            queue,
            worthwhile,
            batch: Vec::new(),
            attempts: 0,
            warnings: LogLimit::new(WARNINGS, 1),
        };
        let runtime = worker::runtime().map_err(ExporterError::Thread)?;
        let woken = Arc::clone(&wake);
        let thread = std::thread::Builder::new().name("traces".to_owned());
        let spawned = thread.spawn(move || {
            runtime.block_on(run.despite_panics(asked, &woken));
            runtime.shutdown_background();
        });
        spawned.map_err(ExporterError::Thread)?;
        Ok(Self {
            settings: settings.clone(),
            tls,
            queue: sender,
            worthwhile,
            wake,
            flushes,
            metrics: metrics.clone(),
        })
    }
}

struct Run {
    client: Client,
    settings: Settings,
    metrics: SpanMetrics,
    queue: mpsc::Receiver<Ended>,
    /// Spans that are worth a request to the collector.
    worthwhile: usize,
    /// What is being sent, or sent again.
    batch: Vec<Ended>,
    attempts: u32,
    warnings: LogLimit,
}

impl Run {
    /// A panic costs the spans that were being sent, which may be what it is about.
    async fn despite_panics(mut self, mut asked: mpsc::UnboundedReceiver<Flush>, wake: &Notify) {
        while panics::caught(self.until_unused(&mut asked, wake))
            .await
            .is_err()
        {
            self.metrics.panics.inc();
            self.metrics.internal.inc_by(self.batch.len() as u64);
            self.done();
            sleep(INTERVAL).await;
        }
    }

    async fn until_unused(&mut self, asked: &mut mpsc::UnboundedReceiver<Flush>, wake: &Notify) {
        loop {
            let pausing = self.attempts > 0;
            let pause = match self.attempts {
                0 if self.queue.len() >= self.worthwhile => Duration::ZERO,
                0 => INTERVAL,
                _ => self.pause(),
            };
            tokio::select! {
                biased;
                flush = asked.recv() => {
                    let Some(Flush { until, done }) = flush else {
                        // Nobody can end a span here any more: the last ones.
                        let until = Instant::now() + self.settings.timeout;
                        self.end(until).await;
                        return;
                    };
                    // Nobody may wait any more.
                    let _ = done.send(self.flush(until).await);
                }
                () = wake.notified(), if !pausing => drop(self.export(self.settings.timeout).await),
                () = sleep(pause) => drop(self.export(self.settings.timeout).await),
            }
        }
    }

    /// Sends batch after batch until nothing is queued, one does not arrive, or it is `until`. Whether
    /// nothing is left.
    async fn flush(&mut self, until: Instant) -> bool {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.export(left.min(self.settings.timeout)).await {
                return self.batch.is_empty() && self.queue.is_empty();
            }
        }
    }

    /// Sends what is left, batch after batch and again after a failure, until it is `until`. What did not
    /// arrive by then is dropped.
    async fn end(&mut self, until: Instant) {
        while !self.flush(until).await && Instant::now() < until {
            sleep_until(until.min(Instant::now() + self.pause())).await;
        }
        let left = self.batch.len() + self.queue.len();
        self.metrics.unreachable.inc_by(left as u64);
    }

    /// Before the next attempt.
    fn pause(&self) -> Duration {
        FIRST_PAUSE * 2_u32.pow(self.attempts.saturating_sub(1))
    }

    /// Sends one batch, if anything is queued; whether it arrived.
    async fn export(&mut self, longest: Duration) -> bool {
        while self.batch.len() < BATCH
            && let Ok(ended) = self.queue.try_recv()
        {
            self.batch.push(ended);
        }
        !self.batch.is_empty() && self.send(longest).await
    }

    async fn send(&mut self, longest: Duration) -> bool {
        let count = self.batch.len() as u64;
        let body = encode::request(&self.settings.service_name, &self.batch);
        let posting = self.client.post(Bytes::from(body));
        let posted = match timeout(longest, posting).await {
            Ok(posted) => posted,
            Err(_) => Err(PostError::Unreachable("no answer in time".to_owned())),
        };
        let error = match posted {
            Ok(answer) => {
                let rejected = encode::rejected(&answer).min(count);
                self.metrics.exported.inc_by(count - rejected);
                self.metrics.rejected.inc_by(rejected);
                self.done();
                return true;
            }
            Err(error) => error,
        };
        let dropped = match error {
            PostError::Refused(_) => Some(&self.metrics.rejected),
            _ if self.attempts + 1 >= ATTEMPTS => Some(&self.metrics.unreachable),
            _ => None,
        };
        if let Some(suppressed) = self.warnings.admit() {
            tracing::warn!(
                endpoint = %self.settings.endpoint.origin(),
                %error,
                dropped = dropped.map(|_| count),
                suppressed = Some(suppressed).filter(|count| *count > 0),
                "the collector did not take spans"
            );
        }
        if let Some(dropped) = dropped {
            dropped.inc_by(count);
            self.done();
        } else {
            self.attempts += 1;
        }
        false
    }

    fn done(&mut self) {
        self.batch.clear();
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests;
