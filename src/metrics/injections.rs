//! The injector's own family; a sidecar's page does not have it.

use prometheus::IntCounterVec;

use super::Metrics;
use super::families::Families;

/// Admission reviews by what became of them.
#[derive(Clone, Debug)]
pub struct Injections {
    total: IntCounterVec,
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
        Ok(Injections { total })
    }
}

impl Injections {
    /// Counts a review.
    pub fn count(&self, result: &str, reason: &str) {
        self.total.with_label_values(&[result, reason]).inc();
    }
}
