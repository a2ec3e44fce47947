//! What is seen from outside: CPU and memory from `/proc`, the server's own `/metrics`, the machine. Read only.

pub mod conditions;
pub mod machine;
pub mod metrics;
pub mod process;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

/// Where one target's server is observed.
#[derive(Clone, Debug, Default)]
pub struct Probe {
    pub pid: Option<u32>,
    pub metrics: Option<SocketAddr>,
    /// Why a scrape failed, the first time.
    failed: Arc<OnceLock<String>>,
}

impl Probe {
    pub fn new(pid: Option<u32>, metrics: Option<SocketAddr>) -> Self {
        Self {
            pid,
            metrics,
            failed: Arc::default(),
        }
    }

    /// The server's metrics; none where it has none, or where they do not answer.
    pub async fn scrape(&self) -> Option<metrics::Samples> {
        match metrics::scrape(self.metrics?).await {
            Ok(samples) => Some(samples),
            Err(error) => {
                self.failed.get_or_init(|| error.to_string());
                None
            }
        }
    }

    /// What a reader must know of metrics that did not answer.
    pub fn warning(&self, target: &str) -> Option<String> {
        let (address, why) = (self.metrics?, self.failed.get()?);
        Some(format!(
            "The metrics of {target} at {address} did not answer ({why}): what they would have told of the server is missing."
        ))
    }

    /// CPU seconds the server has used so far; from `/proc` where possible (nanoseconds), else from its metrics.
    pub async fn cpu_seconds(&self) -> Option<f64> {
        if let Some(seconds) = self.pid.and_then(process::cpu_seconds) {
            return Some(seconds);
        }
        let samples = self.scrape().await?;
        samples.sum("process_cpu_seconds_total", &[])
    }

    /// Resident memory in bytes.
    pub async fn resident(&self) -> Option<u64> {
        if let Some(bytes) = self.pid.and_then(process::resident) {
            return Some(bytes);
        }
        let samples = self.scrape().await?;
        let bytes = samples.sum("process_resident_memory_bytes", &[])?;
        Some(bytes as u64)
    }
}
