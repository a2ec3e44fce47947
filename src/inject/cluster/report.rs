//! What the two commands print, and whether they fail. Names come from the cluster, so every line is made
//! printable.

use std::io::Write;

use crate::inject::error::Error;
use crate::redact::one_line;

/// A report and how many of its lines are failures.
pub(super) struct Report {
    pub(super) lines: Vec<String>,
    pub(super) failures: usize,
}

impl Report {
    pub(super) fn print(&self, out: &mut impl Write) -> Result<(), Error> {
        for line in &self.lines {
            writeln!(out, "{}", one_line(line)).map_err(Error::Write)?;
        }
        out.flush().map_err(Error::Write)?;
        match self.failures {
            0 => Ok(()),
            failures => Err(Error::ClusterFailures(failures)),
        }
    }
}
