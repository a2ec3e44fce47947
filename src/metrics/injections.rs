//! The injector's own family; a sidecar's page does not have it.

use prometheus::{IntCounter, IntCounterVec};

use super::families::Families;
use super::{Metrics, PanickedTask};

/// Admission reviews by what became of them.
#[derive(Clone, Debug)]
pub struct Injections {
    total: IntCounterVec,
    panics: IntCounter,
}

impl Metrics {
    /// Registers the family; every pair of result and reason in `known` begins at zero.
    pub fn injections(&self, known: &[(&str, &str)]) -> Result<Injections, prometheus::Error> {
        let total = Families(&self.registry).counter(
            "injections_total",
            "Admission reviews answered, by result and reason of a refusal or error.",
            &["result", "reason"],
        )?;
        for (result, reason) in known {
            total.with_label_values(&[*result, *reason]);
        }
        let task = PanickedTask::Stream.as_str();
        Ok(Injections {
            total,
            panics: self.panics.with_label_values(&[task]),
        })
    }
}

impl Injections {
    /// Counts a panic of a review.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// Counts a review.
    pub fn count(&self, result: &str, reason: &str) {
        self.total.with_label_values(&[result, reason]).inc();
    }
}
