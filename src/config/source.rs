//! Where a configuration comes from, so that it can be read again while the process runs.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::environment::Environment;
use super::error::Error;
use super::settings::{Config, Loaded};
use super::sources::{Flags, named};
use crate::regular_file;

/// Flags and environment of the process; the file that they name may change.
#[derive(Clone, Debug, Default)]
pub struct Source {
    flags: Flags,
    environment: Environment,
}

impl Source {
    /// What the process was started with.
    pub fn new(flags: Flags, environment: Environment) -> Self {
        Self { flags, environment }
    }

    /// Reads everything; the same as at start if the file has not changed.
    pub fn load(&self) -> Result<Loaded, Error> {
        Config::load(&self.flags, &self.environment)
    }

    /// The same while the process runs, with its admin port at `admin`: that one stays. The writer of a pipe
    /// wrote at start, if at all.
    pub fn load_again(&self, admin: &[SocketAddr]) -> Result<Loaded, Error> {
        if let Some(path) = self.file() {
            regular_file::length(&path).map_err(|source| Error::Unreadable {
                path: path.as_path().into(),
                source,
            })?;
        }
        Config::load_beside(&self.flags, &self.environment, Some(admin))
    }

    /// The file, if there is one: nothing else can change.
    pub fn file(&self) -> Option<PathBuf> {
        named(&self.flags, &self.environment)
    }
}
