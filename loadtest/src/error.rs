//! What can end a run, told to the user: each message names the thing, the value and the remedy.
//! Exit codes: 1 the run failed, 3 a --fail-if condition is met, 64 the question was wrong (flags, plan, results file), 130 interrupted,
//! 141 the reader of standard output has gone.

use std::io;
use std::path::{Path, PathBuf};

use hybridge_redact::Shown;
use thiserror::Error;

/// Why a run or a report could not be completed.
#[derive(Debug, Error)]
pub enum Error {
    #[error("{0}")]
    Usage(String),
    #[error("plan {}: {message}", Shown::path(Path::new(.name)))]
    Plan { name: String, message: String },
    #[error("{} is not a result file this version reads: {message}", Shown::path(.path))]
    Results { path: PathBuf, message: String },
    #[error("cannot read {}: {source}", Shown::path(.path))]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}; free some space or choose another --out", Shown::path(.path))]
    Write { path: PathBuf, source: io::Error },
    #[error(
        "target {target} does not answer at {address}: {source}; is it running and is the port right?"
    )]
    Unreachable {
        target: String,
        address: String,
        source: io::Error,
    },
    #[error("target {target}: TLS handshake failed: {message}")]
    Handshake { target: String, message: String },
    #[error(
        "target {target} negotiated {got} where {expected} was asked for: the run would compare the wrong things"
    )]
    Negotiated {
        target: String,
        expected: String,
        got: String,
    },
    #[error("target {target}: {message}")]
    Protocol { target: String, message: String },
    #[error("target {target} stopped answering during {case}: {message}")]
    Died {
        target: String,
        case: String,
        message: String,
    },
    #[error("target {target} failed {case}, though it still accepts connections: {message}")]
    Failed {
        target: String,
        case: String,
        message: String,
    },
    /// Targets failed; the others were measured to the end.
    #[error("{0}")]
    Incomplete(String),
    #[error("{0}")]
    Process(String),
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    #[error("{what}: {source}")]
    System {
        what: &'static str,
        source: io::Error,
    },
}

impl Error {
    /// The process exit code this error asks for (sysexits: 64 is a usage error).
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Plan { .. } | Self::Results { .. } => 64,
            // What a shell reports of a tool that SIGPIPE ends. Not 0, because what was not read was not said.
            error if error.is_broken_pipe() => 128 + 13,
            _ => 1,
        }
    }

    /// The reader of standard output, such as `head`, had enough: nothing to report.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// True where another attempt on the same connection settings cannot succeed or would hide a wrong measurement.
    pub fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::Negotiated { .. } | Self::Usage(_) | Self::Plan { .. }
        )
    }

    /// True where one target failed, which says nothing of the others.
    pub fn is_of_target(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Handshake { .. }
                | Self::Protocol { .. }
                | Self::Died { .. }
                | Self::Failed { .. }
        )
    }

    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            source,
        }
    }

    /// What `map_err` takes where the machine refuses what is needed of it.
    pub(crate) fn system(what: &'static str) -> impl Fn(io::Error) -> Self + Copy {
        move |source| Self::System { what, source }
    }

    pub(crate) fn protocol(target: &str, message: impl Into<String>) -> Self {
        Self::Protocol {
            target: target.to_owned(),
            message: message.into(),
        }
    }
}

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;
