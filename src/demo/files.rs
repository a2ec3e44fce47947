//! The demo's certificates: made in memory, written into a fresh directory, removed when dropped. The
//! CA's key is never written; the server's is readable only by its owner.

use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::error::Error;
use crate::certgen::{self, Name};

/// Where the files are, for as long as this lives.
pub(super) struct Certificates {
    pub(super) ca: PathBuf,
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
    _dir: TempDir,
}

impl Certificates {
    /// Makes a CA and a certificate for the usual names and for `addresses`.
    pub(super) fn make(addresses: &[SocketAddr]) -> Result<Self, Error> {
        let issued = certgen::generate(&certgen::Request {
            names: names(addresses),
            ..certgen::Request::default()
        })?;
        let dir = directory()?;
        let path = |name| dir.path().join(name);
        Ok(Self {
            ca: write(path("ca.crt"), 0o644, &issued.ca_cert)?,
            cert: write(path("tls.crt"), 0o644, &issued.cert)?,
            key: write(path("tls.key"), 0o600, &issued.key)?,
            _dir: dir,
        })
    }
}

fn names(addresses: &[SocketAddr]) -> Vec<Name> {
    let mut names = Name::defaults();
    for ip in addresses.iter().map(|address| address.ip().to_canonical()) {
        let Ok(name) = ip.to_string().parse::<Name>() else {
            continue;
        };
        if !ip.is_unspecified() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// A path as a value of a configuration.
pub(super) fn in_toml(path: &Path) -> toml::Value {
    toml::Value::String(path.display().to_string())
}

/// Others may look in, since people who run a client need the CA.
fn directory() -> Result<TempDir, Error> {
    tempfile::Builder::new()
        .prefix("hybridge-demo-")
        .permissions(Permissions::from_mode(0o755))
        .tempdir()
        .map_err(|source| Error::Files {
            path: std::env::temp_dir(),
            source,
        })
}

fn write(path: PathBuf, mode: u32, content: &str) -> Result<PathBuf, Error> {
    match create(&path, mode, content) {
        Ok(()) => Ok(path),
        Err(source) => Err(Error::Files { path, source }),
    }
}

fn create(path: &Path, mode: u32, content: &str) -> std::io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?
        .write_all(content.as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_for_its_owner_and_nothing_is_left_behind() {
        let certificates = Certificates::make(&[SocketAddr::from(([192, 0, 2, 7], 1))]).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&certificates.key), 0o600);
        assert_eq!(mode(&certificates.ca) & 0o444, 0o444);
        let dir = certificates.ca.parent().unwrap().to_owned();
        assert_eq!(dir.read_dir().unwrap().count(), 3);
        drop(certificates);
        assert!(!dir.exists());
    }

    #[test]
    fn an_address_of_its_own_gets_into_the_certificate_and_a_wildcard_does_not() {
        let usual = Name::defaults().len();
        let own = SocketAddr::from(([192, 0, 2, 7], 1));
        let wildcard = SocketAddr::from(([0, 0, 0, 0], 1));
        let loopback = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(names(&[own, own, wildcard, loopback]).len(), usual + 1);
    }
}
