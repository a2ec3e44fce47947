//! Result files on disk: written whole or not at all, read only in this version, every histogram checked.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use hybridge_json::said;
use serde::Deserialize;

use super::texts::shown;
use super::{Results, SCHEMA};
use crate::error::{Error, Result};
use crate::regular;

/// Bytes of a file: that of a whole recorded run has one and a half million, with 600 blocks; 100,000 are read.
const LARGEST: u64 = 256 << 20;

/// Writes into a neighbour and renames it: a full disk leaves the older file as it was.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    // Appended to the name as it is: a path need not be UTF-8.
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let attempt = || {
        let mut file = fs::File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    attempt().map_err(|source| {
        // The unfinished neighbour is of no use to anybody.
        fs::remove_file(&part).ok();
        Error::write(path, source)
    })
}

/// Saves a run; see [`load`].
pub fn save(path: &Path, results: &Results) -> Result<()> {
    write(path, &to_json(results)?)
}

/// The file's text, without secrets.
pub fn to_json(results: &Results) -> Result<Vec<u8>> {
    let mut kept = results.clone();
    kept.hide_secrets();
    kept.fit();
    let mut json = serde_json::to_vec_pretty(&kept)
        .map_err(|error| Error::Process(format!("results cannot be written as JSON: {error}")))?;
    json.push(b'\n');
    Ok(json)
}

/// Reads `results.json`, or the one in a folder.
pub fn load(path: &Path) -> Result<Results> {
    let path = if path.is_dir() {
        path.join("results.json")
    } else {
        path.to_owned()
    };
    parse(&path, &regular::read(&path, LARGEST)?)
}

/// A file may be a stranger's: it is bounded before anything is computed from it, and its words are made fit for a
/// terminal here, for every command.
fn parse(path: &Path, text: &[u8]) -> Result<Results> {
    #[derive(Deserialize)]
    struct Version {
        #[serde(default)]
        schema: String,
    }
    let refuse = |message: &str| Error::Results {
        path: path.to_owned(),
        message: shown(message),
    };
    // The byte order mark that some editors write.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    // Nothing else is kept of it: another version may have other fields.
    let Version { schema } = serde_json::from_slice(text)
        .map_err(|error| refuse(&format!("not JSON with a schema: {}", said(&error))))?;
    if schema != SCHEMA {
        let schema = if schema.is_empty() { "none" } else { &schema };
        return Err(refuse(&format!(
            "render it with the version that wrote it: expected the schema \"{SCHEMA}\", its own is \"{schema}\""
        )));
    }
    let mut results: Results =
        serde_json::from_slice(text).map_err(|error| refuse(&said(&error)))?;
    results.make_printable().map_err(|why| refuse(&why))?;
    results.check_bounds().map_err(|why| refuse(&why))?;
    Ok(results)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_results() {
        let refused = parse(Path::new("x"), "\u{feff}{}".as_bytes()).unwrap_err();
        let said = refused.to_string();
        assert!(said.contains("its own is \"none\""), "{said}");
    }

    #[test]
    fn a_folder_whose_name_is_no_utf_8_is_written_into() {
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join(OsStr::from_bytes(b"out-\xff"));
        fs::create_dir(&odd).unwrap();
        write(&odd.join("check.md"), b"kept").unwrap();
        let names = |folder: &Path| -> Vec<_> {
            let entries = fs::read_dir(folder).unwrap();
            entries.map(|entry| entry.unwrap().file_name()).collect()
        };
        assert_eq!(names(&odd), ["check.md"]);
        assert_eq!(names(folder.path()), [OsStr::from_bytes(b"out-\xff")]);
        assert_eq!(fs::read(odd.join("check.md")).unwrap(), b"kept");
    }
}
