//! Files that a command reads whole. Opening a pipe waits for its writer, and a device never ends.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Opens a regular file; of anything else it says `why_not`.
pub(crate) fn open(path: &Path, why_not: &'static str) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other(why_not));
    }
    File::open(path)
}
