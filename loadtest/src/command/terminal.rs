//! Standard output for results, standard error for progress.

use std::io::Write;

use crate::error::{Error, Result};

pub(super) fn print(text: &str) -> Result<()> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|source| Error::System {
            what: "standard output",
            source,
        })
}

pub(super) fn say(text: &str) {
    // A closed standard error must not end the run.
    writeln!(std::io::stderr(), "{text}").ok();
}
