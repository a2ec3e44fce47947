//! Writes a set of files: each whole or not at all, all of them or none, and over nothing that
//! exists unless told to. A key file is never readable by others, not even for a moment.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::CertgenError;

/// A file to be written.
pub(super) struct NewFile {
    name: &'static str,
    content: Zeroizing<Vec<u8>>,
    mode: u32,
}

impl NewFile {
    /// For anybody to read, as far as the umask allows.
    pub(super) fn public(name: &'static str, content: &str) -> Self {
        Self::new(name, content, 0o644)
    }

    /// For the owner alone.
    pub(super) fn secret(name: &'static str, content: &str) -> Self {
        Self::new(name, content, 0o600)
    }

    fn new(name: &'static str, content: &str, mode: u32) -> Self {
        let content = Zeroizing::new(content.as_bytes().to_vec());
        Self {
            name,
            content,
            mode,
        }
    }
}

/// Says early that writing would overwrite something; [`write`] does not rely on it.
pub(super) fn refuse_existing(dir: &Path, names: &[&str], force: bool) -> Result<(), CertgenError> {
    let mut paths = names.iter().map(|name| dir.join(name));
    match paths.find(|path| !force && path.symlink_metadata().is_ok()) {
        Some(path) => Err(CertgenError::Exists { path }),
        None => Ok(()),
    }
}

/// Writes `files` into `dir`, which is made if need be, and returns their paths.
pub(super) fn write(
    dir: &Path,
    files: &[NewFile],
    force: bool,
) -> Result<Vec<PathBuf>, CertgenError> {
    fs::create_dir_all(dir).map_err(failed("make the directory", dir))?;
    let staged = files
        .iter()
        .map(|file| Staged::new(dir, file))
        .collect::<Result<Vec<_>, _>>()?;
    let mut published = Vec::with_capacity(staged.len());
    if let Err(error) = publish(dir, staged, force, &mut published) {
        published.into_iter().for_each(Published::take_back);
        return Err(error);
    }
    Ok(published.into_iter().map(|file| file.target).collect())
}

fn publish(
    dir: &Path,
    staged: Vec<Staged>,
    force: bool,
    published: &mut Vec<Published>,
) -> Result<(), CertgenError> {
    for file in staged {
        published.push(file.publish(force)?);
    }
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(failed("save the directory", dir))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CertgenError {
    let path = path.to_owned();
    move |cause| CertgenError::File {
        action,
        path,
        cause,
    }
}

/// A file under a name of its own beside its target; removed unless it gets there.
struct Staged {
    temporary: Temporary,
    target: PathBuf,
}

impl Staged {
    fn new(dir: &Path, file: &NewFile) -> Result<Self, CertgenError> {
        let target = dir.join(file.name);
        let path = dir.join(format!(".{}.{}.new", file.name, std::process::id()));
        let mut opened = create_new(&path, file.mode).map_err(failed("create", &path))?;
        let temporary = Temporary(path);
        opened
            .write_all(&file.content)
            .and_then(|()| opened.sync_all())
            .map_err(failed("write", &temporary.0))?;
        Ok(Self { temporary, target })
    }

    fn publish(self, force: bool) -> Result<Published, CertgenError> {
        let former = if force {
            self.replace()?
        } else {
            self.create().map(|()| None)?
        };
        Ok(Published {
            target: self.target,
            former,
        })
    }

    /// A rename replaces what is there, so the name is claimed first with an empty file.
    fn create(&self) -> Result<(), CertgenError> {
        create_new(&self.target, 0o600).map_err(|cause| match cause.kind() {
            io::ErrorKind::AlreadyExists => CertgenError::Exists {
                path: self.target.clone(),
            },
            _ => failed("create", &self.target)(cause),
        })?;
        fs::rename(&self.temporary.0, &self.target).map_err(|cause| {
            drop(Temporary(self.target.clone()));
            failed("create", &self.target)(cause)
        })
    }

    /// Replaces the target and keeps what it was until all files are in place.
    fn replace(&self) -> Result<Option<Temporary>, CertgenError> {
        if self.target.is_dir() {
            let cause = io::Error::other("it is a directory");
            return Err(failed("replace", &self.target)(cause));
        }
        let former = Temporary(self.temporary.0.with_extension("old"));
        // Without hard links (some mounted file systems) the target is gone for a moment.
        let kept =
            fs::hard_link(&self.target, &former.0).or_else(|_| fs::rename(&self.target, &former.0));
        let kept = match kept {
            Ok(()) => Some(former),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed("keep the former", &self.target)(error)),
        };
        match fs::rename(&self.temporary.0, &self.target) {
            Ok(()) => Ok(kept),
            Err(cause) => {
                let error = failed("replace", &self.target)(cause);
                if let Some(former) = kept {
                    let _ = fs::rename(&former.0, &self.target);
                }
                Err(error)
            }
        }
    }
}

fn create_new(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
}

/// A file in its place, and what was there before.
struct Published {
    target: PathBuf,
    former: Option<Temporary>,
}

impl Published {
    /// Best effort: the error that made it necessary is the one to report.
    fn take_back(self) {
        let _ = match &self.former {
            Some(former) => fs::rename(&former.0, &self.target),
            None => fs::remove_file(&self.target),
        };
    }
}

/// A path that is removed when it is no longer needed.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
