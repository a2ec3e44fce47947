//! Files that a command reads whole: regular ones, as long as they may be. A pipe would be waited for, and a device
//! never ends.

use std::fs::{File, metadata};
use std::io::{self, Read};
use std::path::Path;

use crate::error::{Error, Result};

/// The bytes of a file, of which there may be so many.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    bytes(path, most).map_err(|source| Error::read(path, source))
}

/// The same of a file of text.
pub(crate) fn text(path: &Path, most: u64) -> Result<String> {
    let bytes = read(path, most)?;
    String::from_utf8(bytes).map_err(|_| Error::read(path, io::Error::other("it is not UTF-8")))
}

fn bytes(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    if !metadata(path)?.is_file() {
        return Err(io::Error::other(
            "it is not a regular file: copy what it gives to one",
        ));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let most = most >> 10;
        return Err(io::Error::other(format!(
            "it is larger than {most} KiB, the most that is read"
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_never_ends_is_refused_and_what_is_too_long() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, vec![b'x'; 2048]).unwrap();
        assert_eq!(text(&file, 2048).unwrap().len(), 2048);
        let said = read(&file, 2047).unwrap_err().to_string();
        assert!(
            said.ends_with("it is larger than 1 KiB, the most that is read"),
            "{said}"
        );
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        for odd in [pipe.as_path(), folder.path(), Path::new("/dev/zero")] {
            let said = read(odd, 2048).unwrap_err().to_string();
            assert!(said.contains("it is not a regular file"), "{said}");
        }
    }
}
