//! The conditions of `--fail-if`.

use super::terminal::say;
use crate::error::{Error, Result};
use crate::report::limit::{Limit, Outcome};
use crate::results::Results;

/// Exit code where a condition of `--fail-if` is met.
const BEYOND_LIMIT: u8 = 3;

/// Holds a run against the limits; the exit code.
pub(super) fn check_limits(limits: &[Limit], results: &Results) -> Result<u8> {
    let mut code = 0;
    for limit in limits {
        match limit.check(results) {
            Outcome::NotMet => {}
            Outcome::Met(cases) => {
                for case in cases {
                    say(&format!("--fail-if '{}' is met: {case}", limit.text()));
                }
                code = BEYOND_LIMIT;
            }
            Outcome::NotMeasured => {
                return Err(Error::Process(format!(
                    "--fail-if '{}': this run has no such figure; measure its scenario, with --pid or --metrics for CPU",
                    limit.text()
                )));
            }
        }
    }
    Ok(code)
}
