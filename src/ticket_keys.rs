//! `hybridge ticket-keys`: makes and rotates the file of `ticket-keys`, which replicas share. A file is
//! replaced whole, so nobody reads half of one, and is never readable by others.

mod error;

use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hybridge_seal::staging::hand_over;
use tempfile::{Builder, NamedTempFile};

pub use self::error::Error;
use crate::certgen::files::{require_replaceable, unfinished};
use crate::redact::Shown;
use crate::tls::credentials::directory_of;
use crate::tls::tickets::{KeyFile, LIFETIME, Step};

/// For the owner only.
const SECRET: u32 = 0o600;
/// The most that is kept of the mode of a file that is replaced.
const KEPT: u32 = 0o770;

/// What to do with the file.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Action {
    /// Make a file with one new key
    New(New),
    /// Make the next step of a rotation: add a key, promote it, retire the one before
    Rotate(Rotate),
}

/// A file to make.
#[derive(clap::Args, Clone, Debug)]
pub struct New {
    /// File to write
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Replace a file that exists: sessions sealed with its keys end
    #[arg(long)]
    pub force: bool,
}

/// A file to rotate.
#[derive(clap::Args, Clone, Debug)]
pub struct Rotate {
    /// File to read and replace
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// What was done, and what comes next.
#[derive(Debug)]
pub struct Report {
    file: Shown,
    done: Done,
}

#[derive(Debug)]
enum Done {
    Made,
    Rotated(Step),
}

/// Does it.
pub fn run(action: &Action) -> Result<Report, Error> {
    // A signal waits until the file is in its place, or what was staged is gone.
    let _unfinished = unfinished();
    let (file, done) = match action {
        Action::New(new) => {
            make(new)?;
            (&new.file, Done::Made)
        }
        Action::Rotate(rotate) => (&rotate.file, Done::Rotated(step(&rotate.file)?)),
    };
    Ok(Report {
        file: file.as_path().into(),
        done,
    })
}

fn make(new: &New) -> Result<(), Error> {
    require_replaceable(&new.file).map_err(failed("create", &new.file))?;
    if !KeyFile::may_replace(&new.file)? {
        let path = new.file.as_path().into();
        return Err(Error::Other { path });
    }
    let keys = KeyFile::generate()?;
    let staged = stage(&new.file, &keys)?;
    let placed = if new.force {
        if let Ok(old) = fs::symlink_metadata(&new.file) {
            keep_readers(&staged, &old, &new.file)?;
        }
        staged.persist(&new.file)
    } else {
        staged.persist_noclobber(&new.file)
    };
    match placed {
        Ok(_) => save_directory(&new.file),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(Error::Exists {
            path: new.file.as_path().into(),
        }),
        Err(error) => Err(failed("create", &new.file)(error.error)),
    }
}

fn step(file: &Path) -> Result<Step, Error> {
    // What its file lets others do is kept or mended below: only a planted key must not be promoted.
    let (mut keys, _) = KeyFile::load(file)?;
    // What a link points to is replaced, not the link.
    let target = fs::canonicalize(file).map_err(failed("find", file))?;
    let metadata = fs::metadata(&target).map_err(failed("read", file))?;
    let step = keys.rotate()?;
    let staged = stage(&target, &keys)?;
    keep_readers(&staged, &metadata, file)?;
    let placed = staged.persist(&target);
    placed.map_err(|error| failed("replace", file)(error.error))?;
    save_directory(&target)?;
    Ok(step)
}

/// The file under a name of its own beside its target; removed unless it gets there.
fn stage(target: &Path, keys: &KeyFile) -> Result<NamedTempFile, Error> {
    let mut staged = Builder::new()
        .prefix(".ticket-keys.")
        .permissions(Permissions::from_mode(SECRET))
        .tempfile_in(directory_of(target))
        .map_err(failed("create", target))?;
    staged
        .write_all(keys.text().as_bytes())
        .and_then(|()| staged.as_file().sync_all())
        .map_err(failed("write", target))?;
    Ok(staged)
}

/// A sidecar that runs as another user goes on reading the file.
fn keep_readers(staged: &NamedTempFile, old: &fs::Metadata, file: &Path) -> Result<(), Error> {
    hand_over(staged.as_file(), old, KEPT).map_err(failed("keep the owner of", file))
}

fn save_directory(target: &Path) -> Result<(), Error> {
    fs::File::open(directory_of(target))
        .and_then(|directory| directory.sync_all())
        .map_err(failed("save the directory of", target))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = Shown::path(path);
    move |cause| Error::File {
        action,
        path,
        cause,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = LIFETIME / 3600;
        write!(f, "{}: ", self.file)?;
        match &self.done {
            Done::Made => {
                f.write_str("made, with one key\nNext: name it in `ticket-keys` of every replica.")
            }
            Done::Rotated(Step::Added(id)) => write!(
                f,
                "added {id}, which decrypts tickets\nNext: when every replica has read the file, rotate again: it will encrypt."
            ),
            Done::Rotated(Step::Promoted(id)) => write!(
                f,
                "promoted {id}, which encrypts tickets\nNext: after {hours} hours, when every ticket of the key before has ended, rotate again: that key is retired."
            ),
            Done::Rotated(Step::Retired(ids)) => {
                write!(f, "retired {}\nThe rotation is complete.", ids.join(", "))
            }
        }
    }
}
