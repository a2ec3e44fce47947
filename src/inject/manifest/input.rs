//! Reading files of manifests, or standard input.

use std::io::Read;
use std::path::Path;

use crate::inject::error::Error;

/// Standard input.
const STANDARD: &str = "-";

/// Refuses to read standard input twice: the second time it is empty.
pub(crate) fn require_once<'a>(files: impl Iterator<Item = &'a Path>) -> Result<(), Error> {
    match files.filter(|file| *file == Path::new(STANDARD)).count() {
        0 | 1 => Ok(()),
        _ => Err(Error::Usage(
            "-f - -f -: standard input can be read once; name a file for the others".into(),
        )),
    }
}

/// The text of `path`; `-` is standard input. An input of no bytes is no answer: what should have written
/// it has failed.
pub(crate) fn read(path: &Path, stdin: &mut impl Read) -> Result<String, Error> {
    let failed = |source| Error::Read {
        path: path.into(),
        source,
    };
    let is_standard = path == Path::new(STANDARD);
    let text = if is_standard {
        let mut text = String::new();
        stdin.read_to_string(&mut text).map_err(failed)?;
        text
    } else {
        std::fs::read_to_string(path).map_err(failed)?
    };
    if text.trim_start_matches('\u{feff}').trim().is_empty() {
        return Err(Error::Empty {
            path: path.into(),
            remedy: if is_standard {
                "look at the command before the pipe, which may have failed"
            } else {
                "look at what should have written it"
            },
        });
    }
    Ok(text)
}
