//! What is seen from outside: CPU and memory from `/proc`, the server's own `/metrics`, the machine. Read only.

pub mod conditions;
pub mod machine;
pub mod metrics;
pub mod process;

use std::net::SocketAddr;

/// Where one target's server is observed.
#[derive(Clone, Debug, Default)]
pub struct Probe {
    pub pid: Option<u32>,
    pub metrics: Option<SocketAddr>,
}

impl Probe {
    /// CPU seconds the server has used so far; from `/proc` where possible (nanoseconds), else from its metrics.
    pub async fn cpu_seconds(&self) -> Option<f64> {
        if let Some(seconds) = self.pid.and_then(process::cpu_seconds) {
            return Some(seconds);
        }
        metrics::scrape(self.metrics?)
            .await
            .ok()?
            .sum("process_cpu_seconds_total", &[])
    }

    /// Resident memory in bytes.
    pub async fn resident(&self) -> Option<u64> {
        if let Some(bytes) = self.pid.and_then(process::resident) {
            return Some(bytes);
        }
        metrics::scrape(self.metrics?)
            .await
            .ok()?
            .sum("process_resident_memory_bytes", &[])
            .map(|bytes| bytes as u64)
    }
}
