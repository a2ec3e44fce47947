//! Reading files of manifests, or standard input.

use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::documents;
use crate::inject::error::Error;
use crate::regular_file;

/// Standard input.
const STANDARD: &str = "-";

/// Bytes of an input, at most: an API server takes 3 MiB of one object.
pub(super) const LARGEST: u64 = 64 << 20;

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
        regular_file::bounded(stdin, LARGEST)
    } else if is_pipe(path) {
        Err(io::Error::other(
            "it is a pipe, whose writer may not come: `-` reads standard input",
        ))
    } else {
        regular_file::text(path, LARGEST)
    }
    .map_err(failed)?;
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
    documents::refuse_line_breaks(&text).map_err(|source| Error::LineBreak {
        path: path.into(),
        source,
    })?;
    Ok(text)
}

fn is_pipe(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}
