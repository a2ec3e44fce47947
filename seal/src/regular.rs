//! Files, and what else is read in their place. Opening a pipe waits for its writer, and a device never ends.

use std::fs::{File, metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use crate::error::{Error, failed};
use crate::shown::Shown;

/// Until the writer of a pipe is looked at again.
const PAUSE: Duration = Duration::from_millis(10);

/// A file that can be read at any place, and its bytes.
pub fn regular(path: &Path) -> Result<(File, u64), Error> {
    let cannot = failed("read", path);
    let metadata = metadata(path).map_err(&cannot)?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() {
            "not a regular file but a directory: name a file in it"
        } else {
            "not a regular file, and a pipe cannot be read at any place: copy it to a file"
        };
        let path = Shown::from(path);
        return Err(Error::Refused(format!("{path}: {what}")));
    }
    let file = File::open(path).map_err(&cannot)?;
    let length = file.metadata().map_err(&cannot)?.len();
    Ok((file, length))
}

/// A file of keys, or a pipe in its place such as `<(…)` of a shell, so that a secret need not lie on a disk. Its writer
/// has so long to write all of it.
pub(crate) fn file_or_pipe(path: &Path, patience: Duration) -> Result<impl Read + use<>, Error> {
    let cannot = failed("read", path);
    let kind = metadata(path).map_err(&cannot)?.file_type();
    if !kind.is_file() && !kind.is_fifo() {
        let path = Shown::from(path);
        return Err(Error::Refused(format!(
            "{path}: neither a file nor a pipe, so no file of keys"
        )));
    }
    let mut options = File::options();
    options.read(true);
    if kind.is_fifo() {
        options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    }
    Ok(Patient {
        from: options.open(path).map_err(&cannot)?,
        end: Instant::now() + patience,
    })
}

/// Waits for what is not there yet, until the end.
struct Patient {
    from: File,
    end: Instant,
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.from.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if Instant::now() >= self.end {
                        return Err(io::Error::other(
                            "a pipe whose writer does not come to its end",
                        ));
                    }
                    std::thread::sleep(PAUSE);
                }
                read => return read,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    #[test]
    fn what_is_no_file_is_told_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
        for (path, what) in [
            (
                folder.path(),
                "not a regular file but a directory: name a file in it",
            ),
            (&pipe, "not a regular file, and a pipe"),
        ] {
            let said = regular(path).err().unwrap().to_string();
            assert!(said.contains(what), "{said}");
        }
    }

    #[test]
    fn keys_come_from_a_pipe_only_while_somebody_writes_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
        let read = |patience| {
            let mut text = String::new();
            let from = file_or_pipe(&pipe, Duration::from_millis(patience));
            from.unwrap().read_to_string(&mut text).map(|_| text)
        };
        // Nobody writes.
        assert_eq!(read(60_000).unwrap(), "");
        // Somebody does, and takes a while.
        let mut writer = File::options().read(true).write(true).open(&pipe).unwrap();
        writer.write_all(b"key").unwrap();
        let said = read(50).unwrap_err().to_string();
        assert_eq!(said, "a pipe whose writer does not come to its end");
        writer.write_all(b"key").unwrap();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| read(60_000).unwrap());
            std::thread::sleep(Duration::from_millis(50));
            drop(writer);
            assert_eq!(reader.join().unwrap(), "key");
        });
        for odd in [folder.path(), Path::new("/dev/zero")] {
            let said = file_or_pipe(odd, Duration::ZERO).err().unwrap().to_string();
            assert!(
                said.ends_with("neither a file nor a pipe, so no file of keys"),
                "{said}"
            );
        }
    }
}
