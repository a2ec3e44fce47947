//! The families of one egress, resolved once.

use std::sync::Arc;

use prometheus::IntCounter;

use super::{Metrics, PanickedTask};

/// The families of one egress, resolved.
#[derive(Clone)]
pub struct EgressMetrics {
    /// Session tickets received.
    pub tickets: IntCounter,
    /// Their bytes below TLS.
    pub ticket_bytes: IntCounter,
    name: String,
    all: Arc<Metrics>,
}

/// What can come of a name.
const RESULTS: [&str; 3] = ["ok", "failed", "timeout"];

impl Metrics {
    /// The families of one egress, at zero.
    pub fn egress(self: &Arc<Self>, name: &str) -> EgressMetrics {
        for result in RESULTS {
            self.egress.resolutions.with_label_values(&[name, result]);
        }
        EgressMetrics {
            tickets: self.egress.tickets.with_label_values(&[name]),
            ticket_bytes: self.egress.ticket_bytes.with_label_values(&[name]),
            name: name.to_owned(),
            all: Arc::clone(self),
        }
    }

    /// States the role of a listener.
    pub fn set_listener_info(&self, name: &str, role: &str, protocol: &str) {
        let labels = [name, role, protocol];
        self.egress.info.with_label_values(&labels).set(1);
    }
}

impl EgressMetrics {
    /// Counts a panic on the way to a server.
    pub fn panicked(&self) {
        self.all.panicked(PanickedTask::Upstream);
    }

    /// Counts a name that was resolved, or was not (`timed_out`, or with an error).
    pub fn resolved(&self, ok: bool, timed_out: bool) {
        let result = match (ok, timed_out) {
            (true, _) => RESULTS[0],
            (false, false) => RESULTS[1],
            (false, true) => RESULTS[2],
        };
        let labels = [self.name.as_str(), result];
        self.all.egress.resolutions.with_label_values(&labels).inc();
    }
}
