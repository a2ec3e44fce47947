//! Who else may read or write a file of keys.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};

use crate::error::{Error, failed};
use crate::memory;
use crate::shown::Shown;

/// Others must not read a secret. Its group may if it is not ours: so Kubernetes mounts a Secret under fsGroup.
/// The volume of a Secret is a container's own, whatever the mode in it.
pub fn require_secret(path: &Path) -> Result<(), Error> {
    let metadata = fs::metadata(path).map_err(failed("read", path))?;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    let forbidden = if ours { 0o077 } else { 0o037 };
    let mode = metadata.mode() & 0o777;
    if metadata.is_file() && mode & forbidden != 0 && !memory::is_read_only_memory(path) {
        let path = Shown::from(path);
        return Err(Error::Refused(format!(
            "{path}: a secret that others can read (mode {mode:04o}): `chmod 0600 {path}`, or `defaultMode: 0400` of a Secret's volume"
        )));
    }
    Ok(())
}

/// Not everybody may write what says whom to trust. Nobody writes through a read-only mount, whatever the mode.
pub fn require_trusted(path: &Path) -> Result<(), Error> {
    let metadata = fs::metadata(path).map_err(failed("read", path))?;
    let mode = metadata.mode() & 0o7777;
    let is_read_only =
        || statvfs(path).is_ok_and(|system| system.f_flag.contains(StatVfsMountFlags::RDONLY));
    if metadata.is_file() && mode & 0o002 != 0 && !is_read_only() {
        let path = Shown::from(path);
        return Err(Error::Refused(format!(
            "{path}: may be written by everybody (mode {mode:04o}), who could replace the key in it: `chmod o-w {path}`"
        )));
    }
    Ok(())
}
