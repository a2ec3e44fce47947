//! Log lines about connections that ended after their handshake: so many for each outcome.

use std::time::Duration;

use strum::VariantNames;

use crate::log_limit::LogLimit;
use crate::proxy::error::Outcome;

/// Which ends are worth a line above debug, and how many lines of each are written.
pub(in crate::proxy) struct EndLines {
    notable: &'static [Outcome],
    of_outcome: [LogLimit; Outcome::VARIANTS.len()],
}

impl EndLines {
    /// At most so many `lines` in each `interval` for each of the `notable` outcomes.
    pub(in crate::proxy) fn new(
        (interval, lines): (Duration, u32),
        notable: &'static [Outcome],
    ) -> Self {
        Self {
            notable,
            of_outcome: std::array::from_fn(|_| LogLimit::new(interval, lines)),
        }
    }

    /// Whether a connection that ended like this becomes a line above debug, and how many did not since the last.
    pub(in crate::proxy) fn admit(&self, outcome: Outcome) -> Option<u64> {
        let limit = self.of_outcome.get(outcome as usize)?;
        self.notable.contains(&outcome).then(|| limit.admit())?
    }
}
