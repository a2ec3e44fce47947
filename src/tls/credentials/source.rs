//! Reads a certificate and key file as one pair: bounded, regular files only, and out of one
//! generation of a Kubernetes volume (`..data` is resolved once for both).

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::{CredentialError, Role};
use super::token::is_token;
use crate::regular_file;
use crate::secret_file::{Exposure, exposure};
use crate::tls::digest::digest_of;

/// A chain of ten ML-DSA-87 certificates is about 110 KiB of PEM.
pub(crate) const SIZE_LIMIT: u64 = 1 << 20;

/// A generation may be replaced between resolving it and reading the second file.
const GENERATION_TRIES: usize = 5;

/// SHA-256 over the content of both files.
pub(crate) type PairDigest = [u8; 32];

/// The text of a certificate and key file, wiped from memory when dropped.
pub(crate) struct PairText {
    pub(crate) cert: Zeroizing<Vec<u8>>,
    /// Of a key in a token its URI.
    pub(crate) key: Zeroizing<Vec<u8>>,
}

impl PairText {
    /// Reads both files; errors name the paths given here, not what they resolve to.
    pub(crate) fn read(cert: &Path, key: &Path) -> Result<Self, CredentialError> {
        for _ in 0..GENERATION_TRIES {
            let generation = Generation::of(cert, key);
            let pair = Self::read_from(&generation, cert, key);
            if Generation::of(cert, key) == generation {
                return pair;
            }
        }
        Err(CredentialError::Unreadable {
            role: Role::Certificate,
            path: cert.into(),
            cause: io::Error::other("its volume is replaced faster than it can be read"),
        })
    }

    fn read_from(
        generation: &Generation,
        cert: &Path,
        key: &Path,
    ) -> Result<Self, CredentialError> {
        Ok(Self {
            cert: read_file(Role::Certificate, cert, &generation.locate(cert))?,
            key: if is_token(key) {
                Zeroizing::new(key.as_os_str().as_encoded_bytes().to_vec())
            } else {
                let text = read_file(Role::Key, key, &generation.locate(key))?;
                // At each look, though the pair be the one in use: a restart would refuse it.
                kept_from_everybody(key)?;
                text
            },
        })
    }

    pub(crate) fn digest(&self) -> PairDigest {
        digest_of([self.cert.as_slice(), &self.key])
    }
}

/// Refuses a key that everybody may write: anyone could have put another in its place.
fn kept_from_everybody(key: &Path) -> Result<(), CredentialError> {
    match exposure(key) {
        Some(Exposure::Writable(mode)) => Err(CredentialError::Writable {
            path: key.into(),
            mode,
        }),
        _ => Ok(()),
    }
}

/// The directory that a file lies in.
pub(crate) fn directory_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The directory that holds `..data` above both files, if they lie in a Kubernetes volume.
pub(crate) fn volume_root(cert: &Path, key: &Path) -> Option<PathBuf> {
    let is_root = |dir: &&Path| {
        key.starts_with(dir)
            && fs::symlink_metadata(dir.join("..data")).is_ok_and(|data| data.is_symlink())
    };
    cert.ancestors().skip(1).find(is_root).map(Path::to_owned)
}

/// One generation of a volume: where `..data` pointed when it was looked at.
#[derive(Eq, PartialEq)]
struct Generation(Option<(PathBuf, PathBuf)>);

impl Generation {
    fn of(cert: &Path, key: &Path) -> Self {
        let resolved = volume_root(cert, key).and_then(|root| {
            let target = fs::canonicalize(root.join("..data")).ok()?;
            Some((root, target))
        });
        Self(resolved)
    }

    /// `path` inside this generation; a file beside `..data` that is no part of it stays as it is.
    fn locate(&self, path: &Path) -> PathBuf {
        let inside = self.0.as_ref().and_then(|(root, target)| {
            let inside = target.join(path.strip_prefix(root).ok()?);
            inside.exists().then_some(inside)
        });
        inside.unwrap_or_else(|| path.to_owned())
    }
}

/// A public file, read within the same bounds.
pub(crate) fn read_public(role: Role, path: &Path) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    read_file(role, path, path)
}

/// A public file that says whom to trust: refused if everybody may write it.
pub(crate) fn read_trusted(role: Role, path: &Path) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    if let Some(Exposure::Writable(mode)) = exposure(path) {
        let path = path.into();
        return Err(CredentialError::WritableTrust { role, path, mode });
    }
    read_public(role, path)
}

fn read_file(
    role: Role,
    path: &Path,
    location: &Path,
) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    let unusable = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound => CredentialError::Missing {
            role,
            path: path.into(),
        },
        _ => CredentialError::Unreadable {
            role,
            path: path.into(),
            cause,
        },
    };
    let (file, size) = regular_file::open(location).map_err(unusable)?;
    let too_large = || CredentialError::TooLarge {
        role,
        path: path.into(),
        limit: SIZE_LIMIT,
    };
    if size > SIZE_LIMIT {
        return Err(too_large());
    }
    // Room for the whole file at once: a buffer that grows leaves unwiped copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(size as usize + 1));
    let mut file = file.take(SIZE_LIMIT + 1);
    file.read_to_end(&mut text).map_err(unusable)?;
    if text.len() as u64 > SIZE_LIMIT {
        return Err(too_large());
    }
    if text.trim_ascii().is_empty() {
        return Err(CredentialError::Empty {
            role,
            path: path.into(),
        });
    }
    Ok(text)
}
