//! The commands, each a function of its options and of where its report goes.

mod inspect;
mod keys;
mod open;
mod rewrap;
mod seal;
mod sign;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use zeroize::Zeroizing;

pub use self::inspect::inspect;
pub use self::keys::keys;
pub use self::open::open;
pub use self::rewrap::{reseal, rewrap};
pub use self::seal::seal;
pub use self::sign::{sign, verify};
use crate::error::{Error, failed};
use crate::signature::bundle::MAX_BUNDLE;

/// What a sealed file's name ends with.
const AGE: &str = ".age";

fn is_stream(path: &Path) -> bool {
    path == Path::new("-")
}

/// Standard output without the line buffer that `Stdout` has: a payload is no text.
fn standard_output() -> Result<File, Error> {
    use std::os::fd::AsFd;
    let descriptor = io::stdout().as_fd().try_clone_to_owned();
    let file = File::from(descriptor.map_err(Error::Output)?);
    if is_closed(&file) {
        return Err(Error::Refused(
            "standard output is closed: what is opened would be lost".to_owned(),
        ));
    }
    // A pipe of 1 MiB halves the switches between its ends; where it is not allowed, it stays as it is.
    let _ = rustix::pipe::fcntl_setpipe_size(&file, 1 << 20);
    Ok(file)
}

fn standard_input() -> Result<File, Error> {
    use std::os::fd::AsFd;
    let descriptor = io::stdin().as_fd().try_clone_to_owned();
    let failed = failed("read", Path::new("-"));
    let file = File::from(descriptor.map_err(failed)?);
    if is_closed(&file) {
        return Err(Error::Refused(
            "standard input is closed: there is nothing to read".to_owned(),
        ));
    }
    Ok(file)
}

/// Whether a program was started without this descriptor. Rust then opens `/dev/null` in its place, for
/// reading and writing; a shell's `>/dev/null` or `</dev/null` is open for one of them.
fn is_closed(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    let is_null = |file: &File| {
        let null = std::fs::metadata("/dev/null").ok()?;
        Some(null.rdev() == file.metadata().ok()?.rdev())
    };
    let both = rustix::fs::fcntl_getfl(file)
        .is_ok_and(|flags| flags & rustix::fs::OFlags::RWMODE == rustix::fs::OFlags::RDWR);
    both && is_null(file) == Some(true)
}

/// What is named, or standard input.
fn input(path: &Path) -> Result<File, Error> {
    if is_stream(path) {
        return standard_input();
    }
    File::open(path).map_err(failed("read", path))
}

/// One line for the operator, on standard error: standard output may be the payload.
fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "hybridge: {line}");
}

/// A stream into memory, as long as a bundle may be.
struct Bounded(Zeroizing<Vec<u8>>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.0.len() + bytes.len()) as u64 > MAX_BUNDLE {
            return Err(io::Error::other("a bundle larger than 64 MiB"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
