//! Why a command did not do its work.

use std::io;
use std::path::Path;

use thiserror::Error;

use crate::age;
use crate::shown::Shown;

/// An error of any command of this crate.
#[derive(Debug, Error)]
pub enum Error {
    /// The command line, or a file that it names as an option, is wrong.
    #[error("{0}")]
    Usage(String),
    /// A file or directory is not what it has to be, or a signature does not hold.
    #[error("{0}")]
    Refused(String),
    /// A sealed file that cannot be opened.
    #[error("{file}: {cause}")]
    Sealed {
        /// Its path.
        file: Shown,
        /// Why.
        cause: age::Error,
    },
    /// The system said no.
    #[error("cannot {action} {file}: {cause}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        file: Shown,
        /// What the system said.
        cause: io::Error,
    },
    /// Standard output.
    #[error("standard output: {0}")]
    Output(io::Error),
}

impl Error {
    /// Whether the command line is wrong, rather than what it works on.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Usage(_))
    }

    /// The error of standard output.
    pub fn output(&self) -> Option<&io::Error> {
        match self {
            Self::Output(error) => Some(error),
            _ => None,
        }
    }
}

/// For `map_err` of a call on a file.
pub fn failed(action: &'static str, file: &Path) -> impl Fn(io::Error) -> Error + Sync + use<> {
    let file = Shown::from(file);
    move |cause| Error::File {
        action,
        file: file.clone(),
        cause,
    }
}

/// For `map_err` of what a sealed file brings.
pub fn sealed(file: &Path) -> impl Fn(age::Error) -> Error + Sync + use<> {
    let file = Shown::from(file);
    move |cause| Error::Sealed {
        file: file.clone(),
        cause,
    }
}
