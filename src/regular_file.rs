//! Files that are read while the process serves, and those of others that a command reads whole. Opening a pipe would
//! wait for its writer, so anything but a file is refused before it is opened. Imports nothing of ours.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Opens a regular file; the file and its bytes.
pub(crate) fn open(path: &Path) -> io::Result<(File, u64)> {
    let length = length(path)?;
    Ok((File::open(path)?, length))
}

/// The text of a regular file, which has so many bytes at most.
pub(crate) fn text(path: &Path, most: u64) -> io::Result<String> {
    bounded(open(path)?.0, most)
}

/// The text of what is open already, such as standard input.
pub(crate) fn bounded(from: impl Read, most: u64) -> io::Result<String> {
    let mut text = String::new();
    from.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        let most = most >> 20;
        return Err(io::Error::other(format!(
            "it is larger than {most} MiB, the most that is read"
        )));
    }
    Ok(text)
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
