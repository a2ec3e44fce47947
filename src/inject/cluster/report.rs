//! What the two commands print, and whether they fail.

use std::io::Write;

use crate::inject::error::Error;

/// A report and how many of its lines are failures.
pub(super) struct Report {
    pub(super) text: String,
    pub(super) failures: usize,
}

impl Report {
    pub(super) fn print(&self, out: &mut impl Write) -> Result<(), Error> {
        out.write_all(self.text.as_bytes()).map_err(Error::Write)?;
        out.flush().map_err(Error::Write)?;
        match self.failures {
            0 => Ok(()),
            failures => Err(Error::ClusterFailures(failures)),
        }
    }
}
