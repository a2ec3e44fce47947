//! What `hybridge inject` can fail with, and the exit code it ends with.

use std::io;

use thiserror::Error;

use super::certs::CertsError;
use crate::counted::counted;
use crate::inject::manifest::YamlError;
use crate::redact::Shown;

/// Failure of one of the inject commands.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line contradicts itself.
    #[error("{0}")]
    Usage(String),
    /// An input or configuration file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file, `-` for standard input.
        path: Shown,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An input of no bytes, or of white space.
    #[error("{path}: the input is empty, so nothing was looked at: {remedy}")]
    Empty {
        /// The file, `-` for standard input.
        path: Shown,
        /// What to do.
        remedy: &'static str,
    },
    /// Documents, and no object in any of them.
    #[error(
        "the input holds no object and no list, so nothing was looked at: give what kubectl get ... -A -o json prints"
    )]
    NoObjects,
    /// An input document is not YAML or JSON.
    #[error("{path}, document {document}: {source}")]
    Document {
        /// The file, `-` for standard input.
        path: Shown,
        /// Counted from 1.
        document: usize,
        /// Why.
        #[source]
        source: YamlError,
    },
    /// A file with a character that ends lines for kubectl alone.
    #[error("{path}: {source}")]
    LineBreak {
        /// The file, `-` for standard input.
        path: Shown,
        /// Which, and in which line.
        #[source]
        source: YamlError,
    },
    /// At least one pod was refused; nothing was printed that could be applied.
    #[error("{refused} of {} refused:\n{details}", counted(*objects, "workload"))]
    Refused {
        /// How many.
        refused: usize,
        /// Of how many.
        objects: usize,
        /// One line per refusal.
        details: String,
    },
    /// `--check` found something that injection would change.
    #[error("workloads that would change: {0}; run without --check to see how")]
    WouldChange(usize),
    /// `--check` found objects that ask for injection and cannot be injected here.
    #[error(
        "objects with the label hybridge.dev/inject: enabled that are not injected here: {0}; the warnings name them"
    )]
    Unseen(usize),
    /// `--check` was given something that it could not read whole.
    #[error(
        "parts of the input that were left out, and so not checked: {0}; the warnings name them, give whole objects and lists"
    )]
    LeftOut(usize),
    /// `inject status` or `inject check` found something wrong.
    #[error("failures: {0}; each is a line above")]
    ClusterFailures(usize),
    /// Writing the result failed.
    #[error("cannot write the result: {0}")]
    Write(#[source] io::Error),
    /// `inject certs` failed.
    #[error(transparent)]
    Certs(#[from] CertsError),
    /// A second signal ended `inject serve`.
    #[error("a second signal: {} cut", counted(*.0, "open request"))]
    Cut(usize),
    /// The end of `inject serve` came before that of its requests.
    #[error("{} cut at the end of the drain", counted(*.0, "open request"))]
    Unfinished(usize),
    /// `inject serve` could not start or broke off.
    #[error("{what}: {source}")]
    Serve {
        /// What was tried, on what.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// `inject serve` could not `what`.
    pub(crate) fn start(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Serve {
            what: format!("cannot {what}"),
            source: io::Error::other(error),
        }
    }

    /// The error of standard output, if that is all that went wrong.
    pub fn output(&self) -> Option<&io::Error> {
        match self {
            Self::Write(error) | Self::Certs(CertsError::Write(error)) => Some(error),
            _ => None,
        }
    }

    /// 64 for a wrong command line or unreadable input (sysexits EX_USAGE), else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_)
            | Self::Read { .. }
            | Self::Empty { .. }
            | Self::NoObjects
            | Self::Document { .. }
            | Self::LineBreak { .. } => 64,
            Self::Certs(error) => error.exit_code(),
            _ => 1,
        }
    }
}
