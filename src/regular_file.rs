//! Files that are read while the process serves. Opening a pipe would wait for its writer, so anything but a file is
//! refused before it is opened. Imports nothing of ours.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Opens a regular file; the file and its bytes.
pub(crate) fn open(path: &Path) -> io::Result<(File, u64)> {
    let length = length(path)?;
    Ok((File::open(path)?, length))
}

/// The bytes of a regular file, which is not opened.
pub(crate) fn length(path: &Path) -> io::Result<u64> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::Error::other("it is a directory"));
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(metadata.len())
}
