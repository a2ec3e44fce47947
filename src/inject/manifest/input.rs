//! Reading a file of manifests, or standard input.

use std::io::Read;
use std::path::Path;

use crate::inject::error::Error;

/// The text of `path`; `-` is standard input.
pub(crate) fn read(path: &Path, stdin: &mut impl Read) -> Result<String, Error> {
    let failed = |source| Error::Read {
        path: path.into(),
        source,
    };
    if path == Path::new("-") {
        let mut text = String::new();
        stdin.read_to_string(&mut text).map_err(failed)?;
        return Ok(text);
    }
    std::fs::read_to_string(path).map_err(failed)
}
