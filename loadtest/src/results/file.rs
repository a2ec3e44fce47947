//! Result files on disk: written whole or not at all, read only in this version, every histogram checked.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Results, SCHEMA};
use crate::error::{Error, Result};

/// No block counts more, of bytes or of anything else; sums of what is read cannot overflow.
const LARGEST: u64 = 1 << 48;

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

/// The file's text.
pub fn to_json(results: &Results) -> Result<Vec<u8>> {
    let mut json = serde_json::to_vec_pretty(results)
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
    let text = fs::read(&path).map_err(|source| Error::read(&path, source))?;
    parse(&path, &text)
}

fn parse(path: &Path, text: &[u8]) -> Result<Results> {
    let refuse = |message: String| Error::Results {
        path: path.to_owned(),
        message,
    };
    let value: serde_json::Value =
        serde_json::from_slice(text).map_err(|error| refuse(format!("not JSON: {error}")))?;
    let schema = value
        .get("schema")
        .and_then(|schema| schema.as_str())
        .unwrap_or("none");
    if schema != SCHEMA {
        return Err(refuse(format!(
            "its schema is \"{schema}\", expected \"{SCHEMA}\"; render it with the version that wrote it"
        )));
    }
    let results: Results =
        serde_json::from_value(value).map_err(|error| refuse(error.to_string()))?;
    for block in results.cases.iter().flat_map(|case| &case.blocks) {
        if let Some(count) = block.counts().into_iter().find(|count| *count > LARGEST) {
            return Err(refuse(format!(
                "a damaged count: {count} in one block of target {}",
                block.target
            )));
        }
        for packed in [
            Some(&block.latency),
            block.first.as_ref(),
            block.gap.as_ref(),
            block.late.as_ref(),
        ]
        .into_iter()
        .flatten()
        {
            packed
                .histogram()
                .map_err(|error| refuse(format!("a damaged histogram: {error}")))?;
        }
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

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
