//! From results to the report's files.

use std::path::Path;

use crate::error::Result;
use crate::report;
use crate::results::{Results, file};

/// Writes `report.md`, `report.html` and `figures.csv` beside the results.
pub fn write_report(folder: &Path, results: &Results) -> Result<()> {
    file::write(
        &folder.join("report.md"),
        report::markdown(results).as_bytes(),
    )?;
    file::write(
        &folder.join("report.html"),
        report::html(results).as_bytes(),
    )?;
    file::write(
        &folder.join("figures.csv"),
        report::csv::lines(results).as_bytes(),
    )
}
