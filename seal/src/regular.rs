//! Files, and nothing else under their names: opening a pipe would wait for its writer.

use std::fs::{File, metadata};
use std::path::Path;

use crate::error::{Error, failed};
use crate::shown::Shown;

/// A file that can be read at any place, and its bytes.
pub fn regular(path: &Path) -> Result<(File, u64), Error> {
    let cannot = failed("read", path);
    let metadata = metadata(path).map_err(&cannot)?;
    if !metadata.is_file() {
        let path = Shown::from(path);
        return Err(Error::Refused(format!(
            "{path}: not a regular file, and a pipe cannot be read at any place: copy it to a file"
        )));
    }
    let file = File::open(path).map_err(&cannot)?;
    let length = file.metadata().map_err(&cannot)?.len();
    Ok((file, length))
}
