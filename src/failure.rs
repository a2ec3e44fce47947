//! Why a command did not do its work, and the exit code that says so.

use std::io;
use std::process::ExitCode;

use hybridge::certgen::CertgenError;
use hybridge::redact::Shown;
use hybridge::{config, ctl, demo, inject, run, ticket_keys};
use hybridge_scan::probe;
use thiserror::Error;

/// The command line or the configuration is wrong (sysexits(3)).
pub(crate) const EX_USAGE: u8 = 64;
/// `probe` met a classical key exchange.
const CLASSICAL: u8 = 2;

/// Why a command did not do its work.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Certs(#[from] CertgenError),
    #[error(transparent)]
    Config(#[from] config::Error),
    #[error(transparent)]
    Ctl(#[from] ctl::Error),
    #[error(transparent)]
    Inject(#[from] inject::Error),
    #[error("{} cut at the end of the drain", were(*.0))]
    Cut(usize),
    #[error(transparent)]
    Demo(#[from] demo::Error),
    #[error("cannot write the man pages to {directory}: {cause}")]
    ManPages { directory: Shown, cause: io::Error },
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
    #[error(transparent)]
    Run(#[from] run::Error),
    #[error(transparent)]
    Probe(#[from] probe::Error),
    #[error("the key exchange is classical")]
    Classical,
    #[error("the certificate is not trusted")]
    Untrusted,
    #[error(transparent)]
    Scan(#[from] hybridge_scan::run::Error),
    #[error("not every endpoint could be examined, or is as required")]
    Required,
    #[error("not every requirement of profile `{0}` is met")]
    Profile(&'static str),
    #[error(
        "--format: findings are those of a profile, and --profile off has none: name cnsa-2.0 or cnsa-2.0-transition"
    )]
    FormatOfNothing,
    #[error(transparent)]
    Seal(#[from] hybridge_seal::Error),
    #[error("cannot watch for signals: {0}")]
    Signals(io::Error),
    #[error("ended by signal {0}: what was not whole was removed")]
    Signalled(u8),
    #[error(transparent)]
    TicketKeys(#[from] ticket_keys::Error),
}

fn were(connections: usize) -> String {
    match connections {
        1 => "1 connection was".to_owned(),
        many => format!("{many} connections were"),
    }
}

impl Failure {
    /// The error of standard output, if that is all that went wrong.
    pub(crate) fn output(&self) -> Option<&io::Error> {
        match self {
            Self::Output(error)
            | Self::Demo(demo::Error::Output(error))
            | Self::Ctl(ctl::Error::Output(error))
            | Self::Probe(probe::Error::Output(error)) => Some(error),
            Self::Inject(error) => error.output(),
            Self::Scan(error) => error.output(),
            Self::Seal(error) => error.output(),
            _ => None,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::FormatOfNothing | Self::Probe(probe::Error::Usage(_)) => {
                ExitCode::from(EX_USAGE)
            }
            Self::Demo(error) if error.is_configuration() => ExitCode::from(EX_USAGE),
            Self::Run(error) if error.is_configuration() => ExitCode::from(EX_USAGE),
            Self::Inject(error) => ExitCode::from(error.exit_code()),
            Self::Scan(error) if error.is_usage() => ExitCode::from(EX_USAGE),
            Self::Seal(error) if error.is_usage() => ExitCode::from(EX_USAGE),
            Self::Classical => ExitCode::from(CLASSICAL),
            // What a shell reports of a command that a signal ends.
            Self::Signalled(number) => ExitCode::from(number.saturating_add(128)),
            _ => ExitCode::FAILURE,
        }
    }
}
