//! A file under its partial name.

use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::owner::give;
use super::{
    claim, default_mode, ended, exists, partial_of, rename, require_replaceable, save_directory,
};
use crate::error::{Error, failed};
use crate::shown::Shown;

/// A file under its partial name, for its owner only; removed unless it is placed.
pub struct StagedFile {
    file: File,
    partial: PathBuf,
    target: PathBuf,
    mode: u32,
    placed: bool,
}

impl StagedFile {
    /// For a target. It must not exist, unless it is to be replaced: then with its owner, group and mode.
    pub fn create(target: &Path, replace: bool) -> Result<Self, Error> {
        if !replace && fs::symlink_metadata(target).is_ok() {
            return Err(exists(target));
        }
        require_replaceable(target)?;
        let partial = partial_of(target)?;
        let replaced = fs::symlink_metadata(target).ok();
        let owner = replaced.as_ref().map(MetadataExt::uid);
        let file = claim(&partial, false, owner, || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true).mode(0o600);
            options.open(&partial).map(Some)
        })?;
        let mut staged = Self {
            file,
            partial,
            target: target.to_owned(),
            mode: default_mode(0o666),
            placed: false,
        };
        if let Some(old) = replaced {
            staged.mode = old.mode() & 0o777;
            give(&staged.file, &old, staged.mode).map_err(|cause| {
                let target = Shown::from(target);
                Error::Refused(format!("{target}: {cause}"))
            })?;
        }
        Ok(staged)
    }

    /// To write to.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The partial name, for messages.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// For these to read and write, as far as the umask allows.
    #[must_use]
    pub fn with_mode(mut self, mode: u32) -> Self {
        self.mode = default_mode(mode);
        self
    }

    /// Gives it its name.
    pub fn place(mut self, replace: bool) -> Result<(), Error> {
        let cannot = failed("save", &self.partial);
        let mode = Permissions::from_mode(self.mode);
        self.file.sync_all().map_err(&cannot)?;
        let mut held = ended::hold();
        self.file.set_permissions(mode).map_err(&cannot)?;
        rename(&self.partial, &self.target, replace)?;
        self.placed = true;
        held.forget(&self.partial);
        save_directory(&self.target)
    }
}

/// Gives all of them their names, or none: nothing is replaced, and no signal ends the process between two.
pub fn place_all(mut files: Vec<StagedFile>) -> Result<(), Error> {
    for staged in &files {
        let cannot = failed("save", &staged.partial);
        staged.file.sync_all().map_err(&cannot)?;
        let mode = Permissions::from_mode(staged.mode);
        staged.file.set_permissions(mode).map_err(&cannot)?;
    }
    let mut held = ended::hold();
    for number in 0..files.len() {
        let (placed, rest) = files.split_at_mut(number);
        let Some(staged) = rest.first_mut() else {
            break;
        };
        if let Err(error) = rename(&staged.partial, &staged.target, false) {
            for other in placed {
                let _ = fs::remove_file(&other.target);
            }
            // Those that are dropped take it again.
            drop(held);
            return Err(error);
        }
        staged.placed = true;
        held.forget(&staged.partial);
    }
    drop(held);
    files
        .iter()
        .try_for_each(|staged| save_directory(&staged.target))
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.placed {
            let mut held = ended::hold();
            let _ = fs::remove_file(&self.partial);
            held.forget(&self.partial);
        }
    }
}
