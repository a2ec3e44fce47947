//! The files of a model: regular ones below one directory, by names that are safe to write elsewhere.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, failed};
use crate::shown::Shown;

/// Directories within directories, at most.
const MAX_DEPTH: usize = 64;
/// At the top of a model, not part of it: so does the OpenSSF's own tool.
pub const GIT: [&str; 4] = [".git", ".gitattributes", ".github", ".gitignore"];
/// What a file system keeps at the top of a volume.
pub const LOST_AND_FOUND: &str = "lost+found";

/// A file of a model.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Below the model's directory, with `/`.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
}

/// Bytes of the files below a directory; 0 if there is none or it cannot be read.
pub fn bytes_below(root: &Path) -> u64 {
    files(root, &[]).map_or(0, |(files, _)| files.iter().map(|file| file.size).sum())
}

/// Every file, in the order of the names' parts, and what was left out at the top.
pub fn files(root: &Path, ignore: &[&str]) -> Result<(Vec<Entry>, Vec<String>), Error> {
    let (mut files, mut ignored) = (Vec::new(), Vec::new());
    let mut open = vec![(root.to_owned(), String::new(), 0)];
    while let Some((directory, prefix, depth)) = open.pop() {
        let cannot = failed("read the directory", &directory);
        for entry in fs::read_dir(&directory).map_err(&cannot)? {
            let entry = entry.map_err(&cannot)?;
            let path = entry.path();
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                return Err(refused(&path, "its name is not UTF-8: rename it"));
            };
            if depth == 0 && ignore.contains(&name.as_str()) {
                ignored.push(name);
                continue;
            }
            let full = format!("{prefix}{name}");
            // Of the link itself, not of what it points to.
            let metadata = fs::symlink_metadata(&path).map_err(failed("read", &path))?;
            if metadata.is_symlink() {
                return Err(refused(
                    &path,
                    "a symbolic link, which may point anywhere: copy the file (`cp -L`) or remove it",
                ));
            } else if metadata.is_dir() {
                if depth == 0 && name == LOST_AND_FOUND && is_file_systems_own(&path) {
                    continue;
                }
                if depth == MAX_DEPTH {
                    return Err(refused(&path, "more than 64 directories deep"));
                }
                open.push((path, format!("{full}/"), depth + 1));
            } else if metadata.is_file() {
                files.push(Entry {
                    name: full,
                    path,
                    size: metadata.len(),
                });
            } else {
                return Err(refused(&path, "neither a file nor a directory: remove it"));
            }
        }
    }
    files.sort_by(|one, other| parts(&one.name).cmp(parts(&other.name)));
    ignored.sort();
    Ok((files, ignored))
}

/// The parts of a name: the order of a manifest is theirs.
pub fn parts(name: &str) -> impl Iterator<Item = &str> {
    name.split('/')
}

/// Whether a name of a manifest stays below the directory of the model.
pub fn is_safe(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part != "." && part != "..";
    !name.contains('\0') && parts(name).all(part)
}

fn refused(path: &Path, why: &str) -> Error {
    Error::Refused(format!("{}: {why}", Shown::from(path)))
}

/// Whether a `lost+found` is the file system's: nothing is in it, or it is root's and nobody else may enter. With files in it,
/// it is a directory as others are, which a signature has to cover.
pub fn is_file_systems_own(path: &Path) -> bool {
    match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        // With another owner or mode, somebody may have files in it that can be read though not listed.
        Err(_) => fs::symlink_metadata(path)
            .is_ok_and(|metadata| (metadata.uid(), metadata.mode() & 0o077) == (0, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_listed_by_parts_and_links_are_refused() {
        let root = tempfile::tempdir().unwrap();
        for directory in ["a", "a/b", ".git"] {
            fs::create_dir(root.path().join(directory)).unwrap();
        }
        for name in ["a.txt", "a/b/c", "a/z", ".git/x", "b"] {
            fs::write(root.path().join(name), name).unwrap();
        }
        let (found, ignored) = files(root.path(), &GIT).unwrap();
        let names: Vec<_> = found.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["a/b/c", "a/z", "a.txt", "b"]);
        assert_eq!(ignored, [".git"]);
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("a/link")).unwrap();
        let error = files(root.path(), &GIT).unwrap_err().to_string();
        assert!(error.contains("a/link: a symbolic link"), "{error}");
    }

    #[test]
    fn a_name_stays_below() {
        for name in ["a", "a/b", "..a", "a..", "ü"] {
            assert!(is_safe(name), "{name}");
        }
        for name in ["", "/a", "a/", "..", "a/../b", "./a", "a//b", "a\0"] {
            assert!(!is_safe(name), "{name}");
        }
    }
}
