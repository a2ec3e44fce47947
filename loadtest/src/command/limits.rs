//! The conditions of `--fail-if`.

use super::terminal::say;
use crate::error::{Error, Result};
use crate::report::limit::{Limit, Outcome};
use crate::results::Results;

/// Exit code where a condition of `--fail-if` is met.
const BEYOND_LIMIT: u8 = 3;

/// Holds a run against the limits; the exit code. `of` names the run where there are several. What is missing of a run might
/// meet a condition: that none is met is then no answer.
pub(super) fn check_limits(limits: &[Limit], results: &Results, of: Option<&str>) -> Result<u8> {
    let of = of.map_or_else(String::new, |of| format!("{of}: "));
    let mut code = 0;
    for limit in limits {
        match limit.check(results) {
            Outcome::NotMet => {}
            Outcome::Met(cases) => {
                for case in cases {
                    say(&format!("{of}--fail-if '{}' is met: {case}", limit.text()));
                }
                code = BEYOND_LIMIT;
            }
            Outcome::NotMeasured => {
                return Err(Error::Process(format!(
                    "{of}--fail-if '{}': this run has no such figure; measure its scenario, with --pid or --metrics for CPU, with a \
                     hundred operations in a block for a p99; of shards, `merge` them",
                    limit.text()
                )));
            }
        }
    }
    let p = &results.provenance;
    if code == 0 && !limits.is_empty() && (p.incomplete || p.interrupted) {
        return Err(Error::Process(format!(
            "{of}--fail-if: no condition is met by what was measured, but the run is not complete: a target failed, or it was \
             interrupted; the top of the report says what is missing"
        )));
    }
    Ok(code)
}
