//! Cases in which the generator was its own limit.

use super::{CaseResult, Results};

/// The generator counts as the limit above this share of its cores.
pub const BUSY: f64 = 0.9;

impl Results {
    /// By their place in the list of cases; none where the generator spun, which keeps its cores busy always.
    pub fn cases_at_generators_limit(&self) -> Vec<usize> {
        if self.provenance.spins {
            return Vec::new();
        }
        let headroom = self.headroom.as_ref();
        let cores = headroom.map_or(1, |headroom| headroom.cores) as f64;
        let is_busy = |case: &CaseResult| {
            let used: f64 = case.blocks.iter().map(|block| block.generator_cpu_s).sum();
            let time: f64 = case.blocks.iter().map(|block| block.elapsed_s).sum();
            used > BUSY * cores * time
        };
        let cases = self.cases.iter().enumerate();
        cases
            .filter(|(_, case)| is_busy(case))
            .map(|(index, _)| index)
            .collect()
    }
}
