//! A directory under its partial name.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{PREFIX, claim, default_mode, directory_of, ended, partial_of, rename, save_directory};
use crate::error::{Error, failed};
use crate::shown::Shown;
use crate::tree::{LOST_AND_FOUND, is_file_systems_own};

/// A directory under its partial name, for its owner only. Beside the target; inside it if that is there,
/// for the target may be a volume's own directory, which cannot be renamed.
pub struct StagedDirectory {
    _lock: File,
    partial: PathBuf,
    target: PathBuf,
    inside: bool,
    placed: bool,
}

impl StagedDirectory {
    /// For a target that does not exist or is empty; with `replace`, what it has is removed first.
    pub fn create(target: &Path, replace: bool) -> Result<Self, Error> {
        let inside = match fs::symlink_metadata(target) {
            Ok(metadata) if metadata.is_dir() => true,
            Ok(_) => return Err(no_directory(target)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(failed("read", target)(error)),
        };
        let partial = if inside {
            target.join(format!("{PREFIX}model"))
        } else {
            partial_of(target)?
        };
        let lock = take(&partial)?;
        let staged = Self {
            _lock: lock,
            partial,
            target: target.to_owned(),
            inside,
            placed: false,
        };
        if inside {
            staged.empty_target(replace)?;
        }
        Ok(staged)
    }

    fn empty_target(&self, replace: bool) -> Result<(), Error> {
        let cannot = failed("read the directory", &self.target);
        for entry in fs::read_dir(&self.target).map_err(&cannot)? {
            let path = entry.map_err(&cannot)?.path();
            let named = path.file_name().is_some_and(|name| name == LOST_AND_FOUND);
            if path == self.partial || named && is_file_systems_own(&path) {
                continue;
            }
            if !replace {
                let target = Shown::from(self.target.as_path());
                return Err(Error::Refused(format!(
                    "{target}: not empty: name a directory that is empty or does not exist, or add --replace, which removes what is in it first"
                )));
            }
            ended::remove(&path)?;
        }
        Ok(())
    }

    /// The partial name, for messages and for what is staged below it.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// A new file below, with the directories that lead to it.
    pub fn file(&self, name: &str) -> Result<(File, PathBuf), Error> {
        let path = self.partial.join(name);
        let first = Path::new(name).iter().next();
        // Inside the target it would have to take the place of the directory that it is staged in.
        if self.inside && first == self.partial.file_name() {
            let target = Shown::from(self.target.as_path());
            return Err(Error::Refused(format!(
                "{}: this name is taken while {target} is filled: name a directory that does not exist yet",
                Shown::text(name)
            )));
        }
        let directory = directory_of(&path);
        let _held = ended::hold();
        if directory != self.partial {
            let made = fs::create_dir_all(directory);
            made.map_err(failed("create the directory", directory))?;
        }
        let mut options = File::options();
        let created = options.read(true).write(true).create_new(true).open(&path);
        Ok((created.map_err(failed("create", &path))?, path))
    }

    /// Gives everything its name.
    pub fn place(mut self) -> Result<(), Error> {
        let mut held = ended::hold();
        if self.inside {
            self.place_inside()?;
            // Empty now; dropping removes it.
            drop(held);
            return save_directory(&self.partial);
        }
        let mode = Permissions::from_mode(default_mode(0o777));
        fs::set_permissions(&self.partial, mode).map_err(failed("save", &self.partial))?;
        rename(&self.partial, &self.target, false)?;
        self.placed = true;
        held.forget(&self.partial);
        save_directory(&self.target)
    }
}

impl StagedDirectory {
    /// Gives all of it its names, or none.
    fn place_inside(&self) -> Result<(), Error> {
        let cannot = failed("read the directory", &self.partial);
        let entries = fs::read_dir(&self.partial).map_err(&cannot)?;
        let names = entries.map(|entry| Ok(entry?.file_name()));
        let names: Vec<_> = names.collect::<io::Result<_>>().map_err(&cannot)?;
        for (number, name) in names.iter().enumerate() {
            let placed = rename(&self.partial.join(name), &self.target.join(name), false);
            if let Err(error) = placed {
                // Best effort: the error that made it necessary is the one to report.
                for name in names.iter().take(number) {
                    let _ = fs::rename(self.target.join(name), self.partial.join(name));
                }
                return Err(error);
            }
        }
        Ok(())
    }
}

impl Drop for StagedDirectory {
    fn drop(&mut self) {
        if !self.placed {
            let mut held = ended::hold();
            let _ = fs::remove_dir_all(&self.partial);
            held.forget(&self.partial);
        }
    }
}

/// A directory never replaces a file or a link.
fn no_directory(target: &Path) -> Error {
    let target = Shown::from(target);
    Error::Refused(format!(
        "{target}: exists and is no directory: remove it or choose another name"
    ))
}

/// Makes the directory and locks it.
fn take(partial: &Path) -> Result<File, Error> {
    claim(partial, true, None, || {
        fs::DirBuilder::new().mode(0o700).create(partial)?;
        match File::open(partial) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    })
}
