//! Where a configuration comes from, so that it can be read again while the process runs.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::environment::Environment;
use super::error::Error;
use super::settings::{Config, Loaded};
use super::sources::{Flags, named};

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

    /// The same while the process runs. Opening a pipe would wait for its writer, who wrote at start if at
    /// all, so anything but a file is refused first.
    pub fn load_again(&self) -> Result<Loaded, Error> {
        if let Some(path) = self.file()
            && fs::metadata(&path).is_ok_and(|about| !about.is_file())
        {
            return Err(Error::Unreadable {
                path: path.as_path().into(),
                source: io::Error::other("it is not a regular file"),
            });
        }
        self.load()
    }

    /// The file, if there is one: nothing else can change.
    pub fn file(&self) -> Option<PathBuf> {
        named(&self.flags, &self.environment)
    }
}
