//! Results under a partial name until all of them are right. A partial name belongs to one process, by a
//! lock; what a process that was killed has left is removed by the next.

mod directory;
mod ended;
mod file;
mod owner;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, RenameFlags, flock, renameat_with};
use rustix::io::Errno;
use rustix::process::{geteuid, umask};

pub use self::directory::StagedDirectory;
pub use self::ended::remove_all;
pub use self::file::{StagedFile, place_all};
pub use self::owner::hand_over;
use crate::error::{Error, failed};
use crate::shown::Shown;

const PREFIX: &str = ".partial-";

/// The directory that a path is in.
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Whether the name is one that a command which was ended left behind.
pub fn is_partial(name: &str) -> bool {
    let last = name.rsplit_once('/').map_or(name, |(_, last)| last);
    last.starts_with(PREFIX)
}

/// Refuses a result in, at or above what it is made from: one would destroy the other, or mix with it.
pub fn require_apart(from: &Path, to: &Path) -> Result<(), Error> {
    let from_real = fs::canonicalize(from).map_err(failed("read", from))?;
    let Ok(to_real) = fs::canonicalize(to).or_else(|_| {
        // What is not there yet lies where its directory does.
        let directory = fs::canonicalize(directory_of(to))?;
        Ok::<_, io::Error>(directory.join(to.file_name().unwrap_or_default()))
    }) else {
        return Ok(());
    };
    if from_real == to_real {
        let from = Shown::from(from);
        return Err(Error::Usage(format!(
            "{from} is what is read, so nothing can be written there: write to another place"
        )));
    }
    if from_real.starts_with(&to_real) || to_real.starts_with(&from_real) {
        let (from, to) = (Shown::from(from), Shown::from(to));
        return Err(Error::Usage(format!(
            "{to} and {from} lie one in the other: write to another place"
        )));
    }
    Ok(())
}

/// What a name is until it is given.
pub fn partial_name(name: impl AsRef<OsStr>) -> OsString {
    let mut partial = OsString::from(PREFIX);
    partial.push(name);
    partial
}

fn partial_of(path: &Path) -> Result<PathBuf, Error> {
    let Some(name) = path.file_name() else {
        let path = Shown::from(path);
        return Err(Error::Usage(format!("{path}: no name for a result")));
    };
    Ok(directory_of(path).join(partial_name(name)))
}

fn lock(file: &File, partial: &Path) -> Result<(), Error> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(Errno::WOULDBLOCK) => {
            let partial = Shown::from(partial);
            Err(Error::Refused(format!(
                "{partial}: another hybridge writes it: wait until it has ended"
            )))
        }
        Err(error) => Err(failed("lock", partial)(error.into())),
    }
}

/// Makes what has the partial name and locks it; what an earlier run left is removed. `make`: nothing if
/// what was made is gone again. `owner`: of what is replaced, which an earlier run may have given away.
fn claim(
    partial: &Path,
    directory: bool,
    owner: Option<u32>,
    make: impl Fn() -> io::Result<Option<File>>,
) -> Result<File, Error> {
    let mut held = ended::hold();
    loop {
        let made = match make() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let left = left_behind(partial, directory, owner)?;
                if left.is_some() {
                    ended::remove(partial)?;
                }
                continue;
            }
            made => made.map_err(failed("create", partial))?,
        };
        // Another process may take it for one that was left, before the lock is ours.
        let Some(made) = made else { continue };
        lock(&made, partial)?;
        if is_same(&made, partial) {
            held.add(partial);
            return Ok(made);
        }
    }
}

/// What is under a partial name already, locked. Only what an earlier run of the same owner left is
/// taken: through anything else, somebody could read or place what is written.
fn left_behind(partial: &Path, directory: bool, owner: Option<u32>) -> Result<Option<File>, Error> {
    let cannot = failed("read", partial);
    let refused = |what: &str| {
        let partial = Shown::from(partial);
        Error::Refused(format!(
            "{partial}: {what}, where a partial result goes: remove it"
        ))
    };
    let metadata = match fs::symlink_metadata(partial) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(&cannot)?,
    };
    if metadata.is_symlink() {
        return Err(refused("a symbolic link"));
    }
    if metadata.is_dir() != directory || !(directory || metadata.is_file()) {
        return Err(refused(if directory {
            "not a directory"
        } else {
            "not a file"
        }));
    }
    let mut options = OpenOptions::new();
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.read(true).custom_flags(flags.bits().cast_signed());
    let file = match options.open(partial) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(&cannot)?,
    };
    let metadata = file.metadata().map_err(&cannot)?;
    let uid = metadata.uid();
    if uid != geteuid().as_raw() && Some(uid) != owner {
        return Err(refused(&format!("of another owner ({uid})")));
    }
    if metadata.is_file() && metadata.nlink() > 1 {
        return Err(refused("a file with another name"));
    }
    lock(&file, partial)?;
    Ok(is_same(&file, partial).then_some(file))
}

/// The mode that a new file or directory has by default.
fn default_mode(most: u32) -> u32 {
    let mask = umask(Mode::from_raw_mode(0o077));
    umask(mask);
    most & !mask.as_raw_mode()
}

fn is_same(file: &File, path: &Path) -> bool {
    let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let named = fs::symlink_metadata(path).map(id).ok();
    named.is_some() && file.metadata().map(id).ok() == named
}

fn rename(from: &Path, to: &Path, replace: bool) -> Result<(), Error> {
    if replace {
        require_replaceable(to)?;
        return fs::rename(from, to).map_err(failed("place", to));
    }
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(exists(to)),
        // A file system without that flag, such as NFS.
        Err(Errno::INVAL | Errno::NOSYS) if fs::symlink_metadata(to).is_err() => {
            fs::rename(from, to).map_err(failed("place", to))
        }
        Err(error) => Err(failed("place", to)(error.into())),
    }
}

/// What is at `target` if it is no file that may be replaced, and the remedy. As root, `/dev/null` would be
/// gone from the whole machine.
pub fn irreplaceable(target: &Path) -> Option<&'static str> {
    let kind = fs::symlink_metadata(target).ok()?.file_type();
    if kind.is_symlink() {
        Some("a symbolic link: name what it leads to")
    } else if kind.is_dir() {
        Some("a directory: choose another name")
    } else if !kind.is_file() {
        Some("a device, a pipe or a socket: choose another name")
    } else {
        None
    }
}

fn require_replaceable(target: &Path) -> Result<(), Error> {
    match irreplaceable(target) {
        Some(_) => Err(exists(target)),
        None => Ok(()),
    }
}

fn exists(target: &Path) -> Error {
    let what = irreplaceable(target);
    let target = Shown::from(target);
    Error::Refused(match what {
        Some(what) => format!("{target}: not replaced, because it is {what}"),
        None => format!("{target}: exists: choose another name, or add --replace"),
    })
}

/// So that the name survives a crash.
fn save_directory(target: &Path) -> Result<(), Error> {
    let directory = directory_of(target);
    let saved = File::open(directory).and_then(|directory| directory.sync_all());
    saved.map_err(failed("save the directory", directory))
}
