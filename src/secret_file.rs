//! Who else may read or write a file that holds a secret.

use std::fs::{self, Metadata};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};

/// What is too open about a file, with its permissions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exposure {
    /// Everybody may write it.
    Writable(u32),
    /// Its group may write it.
    WritableByGroup(u32),
    /// Everybody may read it.
    Readable(u32),
}

/// The worst of a file. Nobody writes through a read-only mount, such as that of a Secret, which is what an
/// orchestrator gives one container. Kubernetes decides the mode in a volume, which only the pod sees: there,
/// only that everybody may write counts. A file that is not there or is none has nothing to expose.
pub(crate) fn exposure(path: &Path) -> Option<Exposure> {
    let metadata = fs::metadata(path).ok().filter(Metadata::is_file)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if is_read_only(path) {
        return None;
    }
    if mode & 0o002 != 0 {
        return Some(Exposure::Writable(mode));
    }
    let found = if mode & 0o020 != 0 {
        Exposure::WritableByGroup(mode)
    } else if mode & 0o004 != 0 {
        Exposure::Readable(mode)
    } else {
        return None;
    };
    (!is_in_volume(path)).then_some(found)
}

/// Kubernetes replaces the files of a volume by a link, `..data`.
fn is_in_volume(path: &Path) -> bool {
    let is_root =
        |dir: &Path| fs::symlink_metadata(dir.join("..data")).is_ok_and(|d| d.is_symlink());
    path.ancestors().skip(1).any(is_root)
}

fn is_read_only(path: &Path) -> bool {
    statvfs(path).is_ok_and(|system| system.f_flag.contains(StatVfsMountFlags::RDONLY))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_worst_counts_and_a_volume_decides_for_itself() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tls.key");
        assert_eq!(exposure(&file), None);
        fs::write(&file, "x").unwrap();
        let of = |mode| {
            fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
            exposure(&file)
        };
        let cases = [
            (0o600, None),
            (0o640, None),
            (0o644, Some(Exposure::Readable(0o644))),
            (0o664, Some(Exposure::WritableByGroup(0o664))),
            (0o660, Some(Exposure::WritableByGroup(0o660))),
            (0o666, Some(Exposure::Writable(0o666))),
        ];
        for (mode, expected) in cases {
            assert_eq!(of(mode), expected, "{mode:04o}");
        }
        symlink("generation", dir.path().join("..data")).unwrap();
        assert_eq!(of(0o664), None);
        assert_eq!(of(0o644), None);
        assert_eq!(of(0o666), Some(Exposure::Writable(0o666)));
    }
}
