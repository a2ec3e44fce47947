//! A model on disk: hashed by threads, and compared with what was signed.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::keys::{Kind, Signer, Verifier};
use super::manifest::{Manifest, SINGLE, list};
use super::{CLASSICAL, POST_QUANTUM};
use crate::digest::{FileDigest, Method, Piece};
use crate::error::{Error, failed};
use crate::identity::read_pem;
use crate::permissions::{require_secret, require_trusted};
use crate::progress::Progress;
use crate::regular::regular;
use crate::shown::Shown;
use crate::tree::{self, Entry, GIT};

/// Where a model and its bundles are.
pub struct Model {
    /// Its directory or file.
    pub path: PathBuf,
    /// Its files.
    pub files: Vec<Entry>,
    /// What is at its top and not part of it.
    pub ignored: Vec<String>,
    /// A directory, whose bundles lie inside.
    pub is_directory: bool,
}

impl Model {
    /// Finds the files.
    pub fn find(path: &Path) -> Result<Self, Error> {
        let metadata = std::fs::metadata(path).map_err(failed("read", path))?;
        if metadata.is_dir() {
            let ignore = [&GIT[..], &[CLASSICAL, POST_QUANTUM]].concat();
            let (files, ignored) = tree::files(path, &ignore)?;
            return Ok(Self {
                path: path.to_owned(),
                files,
                ignored,
                is_directory: true,
            });
        }
        let (_, size) = regular(path)?;
        let file = Entry {
            name: SINGLE.to_owned(),
            path: path.to_owned(),
            size,
        };
        Ok(Self {
            path: path.to_owned(),
            files: vec![file],
            ignored: Vec::new(),
            is_directory: false,
        })
    }

    /// The last part of its path, as the statement names it.
    pub fn name(&self) -> String {
        last_part(&std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone()))
    }

    /// Where its two bundles are.
    pub fn bundles(&self) -> [PathBuf; 2] {
        if self.is_directory {
            return [CLASSICAL, POST_QUANTUM].map(|name| self.path.join(name));
        }
        ["sig", "sig.mldsa"].map(|ending| {
            let mut path = self.path.clone().into_os_string();
            path.push(format!(".{ending}"));
            PathBuf::from(path)
        })
    }

    /// The digests of every file, by so many threads.
    pub fn hash(
        &self,
        method: Method,
        threads: usize,
    ) -> Result<BTreeMap<String, Vec<Piece>>, Error> {
        let progress = Progress::new("hashing", Some(self.files.iter().map(|f| f.size).sum()));
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let found = Mutex::new(Ok(BTreeMap::new()));
        // The longest first, so that no thread begins it when the others have ended.
        let mut order: Vec<_> = self.files.iter().collect();
        order.sort_by_key(|file| std::cmp::Reverse(file.size));
        let work = || {
            while let Some(file) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let pieces = hash_file(file, method, &progress);
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                match (pieces, found.as_mut()) {
                    (Ok(pieces), Ok(all)) => {
                        all.insert(file.name.clone(), pieces);
                    }
                    (Err(error), Ok(_)) => {
                        stop.store(true, Ordering::Relaxed);
                        *found = Err(error);
                    }
                    (_, Err(_)) => {}
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..threads.min(order.len()) {
                scope.spawn(work);
            }
        });
        found.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its manifest.
    pub fn manifest(&self, method: Method, threads: usize) -> Result<Manifest, Error> {
        check_method(method, &self.files)?;
        Ok(Manifest {
            name: self.name(),
            method,
            ignore: ignored(self.is_directory),
            files: self.hash(method, threads)?,
        })
    }

    /// Takes out what the statement says it does not cover, and returns the names.
    pub fn leave_out(&mut self, manifest: &Manifest) -> Vec<String> {
        let covers = |name: &str| {
            let below = |path: &String| {
                name.strip_prefix(path.as_str())
                    .is_some_and(|rest| rest.starts_with('/'))
            };
            !manifest
                .ignore
                .iter()
                .any(|path| name == path || below(path))
        };
        let (kept, out): (Vec<_>, Vec<_>) =
            self.files.drain(..).partition(|file| covers(&file.name));
        self.files = kept;
        let mut names = self.ignored.clone();
        names.retain(|name| ![CLASSICAL, POST_QUANTUM].contains(&name.as_str()));
        names.extend(out.into_iter().map(|file| file.name));
        names
    }

    /// Compares it with what was signed.
    pub fn compare(&self, manifest: &Manifest, threads: usize) -> Result<(), Error> {
        let names = self.files.iter().map(|file| file.name.as_str());
        manifest.compare_names(names).map_err(refused(&self.path))?;
        let found = self.hash(manifest.method, threads)?;
        let changed = found
            .iter()
            .filter(|(name, pieces)| !manifest.compare(name, pieces));
        let changed: Vec<_> = changed.map(|(name, _)| name.as_str()).collect();
        if changed.is_empty() {
            return Ok(());
        }
        let told = vec![list(&("changed after it was signed", changed))];
        Err(refused(&self.path)(super::Error::Files(told)))
    }
}

/// The names that a statement declares as not covered.
pub fn ignored(is_directory: bool) -> Vec<String> {
    let names = [CLASSICAL, POST_QUANTUM].into_iter().chain(GIT);
    names.filter(|_| is_directory).map(str::to_owned).collect()
}

/// Whether every file can be listed by this method.
pub fn check_method(method: Method, files: &[Entry]) -> Result<(), Error> {
    for file in files {
        let shown = Shown::text(&file.name);
        if method != Method::Files && file.name.contains(':') {
            return Err(Error::Refused(format!(
                "{shown}: `:` in a name is not possible with --method shards: use files"
            )));
        }
        if method != Method::Files && file.size == 0 {
            return Err(Error::Refused(format!(
                "{shown}: an empty file has no shard: use --method files"
            )));
        }
    }
    Ok(())
}

fn hash_file(file: &Entry, method: Method, progress: &Progress) -> Result<Vec<Piece>, Error> {
    let mut digest = FileDigest::new(method);
    let cannot = failed("read", &file.path);
    let (mut from, _) = regular(&file.path)?;
    let mut left = file.size;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(digest.finish()),
            Ok(bytes) => {
                // One that is written to meanwhile need not end.
                left = left.checked_sub(bytes as u64).ok_or_else(|| {
                    cannot(io::Error::other(format!(
                        "it is longer than {} bytes, the size that it had: it grew while it was read, or has no size",
                        file.size
                    )))
                })?;
                let bytes = buffer.get(..bytes).unwrap_or_default();
                digest.update(bytes);
                progress.add(bytes.len());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(cannot(error)),
        }
    }
}

/// A signature's error about a file.
pub fn refused(path: &Path) -> impl Fn(super::Error) -> Error + use<> {
    let path = Shown::from(path);
    move |error| Error::Refused(format!("{path}: {error}"))
}

const PRIVATE: &[u8] = b"PRIVATE KEY";

/// A private key's file, which others must not read.
pub fn signer(kind: Kind, path: &Path) -> Result<Signer, Error> {
    let text = read_pem(path)?;
    // A public key in its place may be readable by all.
    if text.windows(PRIVATE.len()).any(|part| part == PRIVATE) {
        require_secret(path)?;
    }
    Signer::parse(kind, &text).map_err(refused(path))
}

/// A public key's file.
pub fn verifier(kind: Kind, path: &Path) -> Result<Verifier, Error> {
    let text = read_pem(path)?;
    require_trusted(path)?;
    Verifier::parse(kind, &text).map_err(refused(path))
}

/// The last part of a path, as a statement names what it signs.
pub fn last_part(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
