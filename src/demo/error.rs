//! Why the demo did not start, or did not end well.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::certgen::CertgenError;
use crate::listener::BindError;
use crate::{config, run};

/// Why the demo did not start, or did not end well.
#[derive(Debug, Error)]
pub enum Error {
    /// No certificates could be made.
    #[error(transparent)]
    Certificates(Box<CertgenError>),
    /// The addresses contradict each other.
    #[error("{0}")]
    Addresses(String),
    /// The configuration of the demo is wrong.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The certificates could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Files {
        /// File or directory.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// What to try could not be printed.
    #[error("standard output: {0}")]
    Output(#[source] io::Error),
    /// The sidecar did not start.
    #[error(transparent)]
    Run(#[from] run::Error),
    /// The stub model server did not start.
    #[error("the stub model server cannot bind its port: {0}")]
    Stub(#[source] io::Error),
}

impl Error {
    /// Whether the command line is to blame (exit code 64) rather than the world (1).
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Addresses(_) | Self::Config(_) => true,
            Self::Run(error) => error.is_configuration(),
            _ => false,
        }
    }
}

/// The demo has no file, and flags of its own for its addresses.
pub(super) fn named_by_flag(
    mut error: run::Error,
    flag: impl Fn(&str) -> &'static str,
) -> run::Error {
    if let run::Error::Bind(BindError::InUse {
        listener, setting, ..
    }) = &mut error
    {
        *setting = flag(listener);
    }
    error
}

impl From<CertgenError> for Error {
    fn from(error: CertgenError) -> Self {
        Self::Certificates(Box::new(error))
    }
}
