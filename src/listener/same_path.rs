//! Whether two paths are one Unix socket, however they are written.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Links that lead to links; the kernel follows as many.
const MAX_LINKS: usize = 40;

/// Whether connecting to one leads to what is bound at the other: `..`, links and second names of a file or
/// a directory included. A socket that is not there yet is known by its directory and its name.
pub(crate) fn same_socket(one: &Path, other: &Path) -> bool {
    let same_file = || file(one).is_some_and(|id| file(other) == Some(id));
    let same_place = || place(one).is_some_and(|at| place(other) == Some(at));
    one == other || same_place() || same_file()
}

/// Device and number of what is there.
fn file(path: &Path) -> Option<(u64, u64)> {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// The directory, and the name in it.
fn place(path: &Path) -> Option<((u64, u64), OsString)> {
    let mut path = PathBuf::from(path);
    for _ in 0..MAX_LINKS {
        let directory = path.parent()?;
        let Ok(target) = fs::read_link(&path) else {
            let name = path.file_name().map(OsStr::to_owned)?;
            return Some((file(directory)?, name));
        };
        path = directory.join(target);
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_socket_is_one_however_its_path_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        fs::create_dir(at("run")).unwrap();
        symlink(at("run"), at("link")).unwrap();
        symlink("run/app", at("to-app")).unwrap();
        let app = at("run/app");
        let spellings = ["run/../run/app", "run/./app", "link/app", "to-app"];
        for bound in [false, true] {
            let _socket = bound.then(|| UnixListener::bind(&app).unwrap());
            for other in spellings {
                assert!(same_socket(&app, &at(other)), "{other} {bound}");
            }
            assert!(!same_socket(&app, &at("app")));
            assert!(!same_socket(&app, &at("run/other")));
        }
        fs::hard_link(&app, at("second-name")).unwrap();
        assert!(same_socket(&app, &at("second-name")));
        symlink("round", at("round")).unwrap();
        assert!(!same_socket(&app, &at("round")));
        let nowhere = Path::new("/no/such/app");
        assert!(same_socket(nowhere, nowhere) && !same_socket(&app, nowhere));
    }
}
