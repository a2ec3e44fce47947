//! Writes a set of files: each whole or not at all, all of them or none, and over nothing that
//! exists unless told to. A key file is never readable by everybody, not even for a moment.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hybridge_seal::staging::{hand_over, irreplaceable};
use tempfile::{Builder, NamedTempFile, TempPath};
use zeroize::Zeroizing;

use super::error::CertgenError;
use crate::tls::credentials::directory_of;

pub(super) const CA_CERT: &str = "ca.crt";
pub(super) const CA_KEY: &str = "ca.key";
pub(super) const CERT: &str = "tls.crt";
pub(super) const KEY: &str = "tls.key";

/// A file to be written.
pub(crate) struct NewFile {
    name: String,
    content: Zeroizing<Vec<u8>>,
    mode: u32,
    /// The most that is kept of the mode of a file that is replaced.
    kept: u32,
}

impl NewFile {
    /// For anybody to read, as far as the umask allows.
    pub(super) fn public(name: &str, content: &str) -> Self {
        Self::new(name, content, 0o644, 0o775)
    }

    /// For the owner only, or those who could read what it replaces. Never for everybody.
    pub(crate) fn secret(name: &str, content: &str) -> Self {
        Self::new(name, content, 0o600, 0o740)
    }

    fn new(name: &str, content: &str, mode: u32, kept: u32) -> Self {
        let content = Zeroizing::new(content.as_bytes().to_vec());
        Self {
            name: name.to_owned(),
            content,
            mode,
            kept,
        }
    }
}

/// Held while files with keys have names of their own beside their targets.
static UNFINISHED: Mutex<()> = Mutex::new(());

/// Waits until no other thread writes; none begins while this is held.
pub(crate) fn unfinished() -> MutexGuard<'static, ()> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until every file that was begun is in its place or gone. No other is begun from then on: the process
/// is about to end.
pub fn finish() {
    std::mem::forget(unfinished());
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
pub(crate) fn write(
    dir: &Path,
    files: &[NewFile],
    force: bool,
) -> Result<Vec<PathBuf>, CertgenError> {
    let _unfinished = unfinished();
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
    temporary: NamedTempFile,
    target: PathBuf,
    kept: u32,
}

impl Staged {
    fn new(dir: &Path, file: &NewFile) -> Result<Self, CertgenError> {
        let target = dir.join(&file.name);
        let mut temporary = Builder::new()
            .prefix(&format!(".{}.", file.name))
            .permissions(Permissions::from_mode(file.mode))
            .tempfile_in(dir)
            .map_err(failed("create", &target))?;
        temporary
            .write_all(&file.content)
            .and_then(|()| temporary.as_file().sync_all())
            .map_err(failed("write", &target))?;
        Ok(Self {
            temporary,
            target,
            kept: file.kept,
        })
    }

    fn publish(self, force: bool) -> Result<Published, CertgenError> {
        if force {
            return self.replace();
        }
        let Self {
            temporary, target, ..
        } = self;
        match temporary.persist_noclobber(&target) {
            Ok(_) => Ok(Published {
                target,
                former: None,
            }),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                Err(CertgenError::Exists { path: target })
            }
            Err(error) => Err(failed("create", &target)(error.error)),
        }
    }

    /// Replaces the target and keeps what it was until all files are in place. A sidecar that runs as another
    /// user goes on reading the file.
    fn replace(self) -> Result<Published, CertgenError> {
        let Self {
            temporary,
            target,
            kept,
        } = self;
        require_replaceable(&target).map_err(failed("replace", &target))?;
        if let Ok(old) = fs::symlink_metadata(&target) {
            hand_over(temporary.as_file(), &old, kept)
                .map_err(failed("keep the owner of", &target))?;
        }
        let former = keep(&target).map_err(failed("keep the former", &target))?;
        let published = Published { target, former };
        match temporary.persist(&published.target) {
            Ok(_) => Ok(published),
            Err(error) => {
                published.restore();
                Err(failed("replace", &published.target)(error.error))
            }
        }
    }
}

/// Refuses what is no file of its own: a device would be gone from the whole machine.
pub(crate) fn require_replaceable(target: &Path) -> io::Result<()> {
    match irreplaceable(target) {
        Some(what) => Err(io::Error::other(format!("it is {what}"))),
        None => Ok(()),
    }
}

/// A second name for what is at `target`, if something is. Without hard links (some mounted file systems)
/// the target is gone for a moment.
fn keep(target: &Path) -> io::Result<Option<TempPath>> {
    let dir = directory_of(target);
    let kept = Builder::new().prefix(".former.").make_in(dir, |path| {
        fs::hard_link(target, path).or_else(|_| fs::rename(target, path))
    });
    match kept {
        Ok(kept) => Ok(Some(kept.into_temp_path())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A file in its place, and what was there before; removed with this value.
struct Published {
    target: PathBuf,
    former: Option<TempPath>,
}

impl Published {
    /// Puts back what was there. Best effort: the error that made it necessary is the one to report.
    fn restore(&self) {
        if let Some(former) = &self.former {
            let _ = fs::rename(former, &self.target);
        }
    }

    /// The same, for a file that is in its place.
    fn take_back(self) {
        if self.former.is_none() {
            let _ = fs::remove_file(&self.target);
        }
        self.restore();
    }
}
