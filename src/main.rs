//! Parses the command line, runs the command, turns its error into an exit code.
//!
//! 0: done. 1: failed. 64: the command line or the configuration is wrong (EX_USAGE of sysexits(3)).

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use hybridge::certgen::{self, CertgenError};
use hybridge::cli::{Cli, Command};
use hybridge::config::{self, Config, Environment, Flags, Loaded};
use thiserror::Error;

const EX_USAGE: u8 = 64;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match execute(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&failure.to_string());
            failure.exit_code()
        }
    }
}

fn execute(command: Command) -> Result<(), Failure> {
    match command {
        Command::Check(flags) => check(&flags),
        Command::Certs(args) => certs(&args),
        Command::Run(_) | Command::Demo(_) | Command::Ctl(_) => Err(Failure::NotBuilt),
    }
}

fn check(flags: &Flags) -> Result<(), Failure> {
    let Loaded { config, warnings } = Config::load(flags, &Environment::of_process())?;
    for warning in &warnings {
        say(warning);
    }
    write!(io::stdout().lock(), "{config}")?;
    Ok(())
}

fn certs(args: &certgen::Args) -> Result<(), Failure> {
    let report = certgen::run(args)?;
    writeln!(io::stdout().lock(), "{report}")?;
    Ok(())
}

/// Why a command did not do its work.
#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Certs(#[from] CertgenError),
    #[error(transparent)]
    Config(#[from] config::Error),
    #[error("this command is not part of this build")]
    NotBuilt,
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) => ExitCode::from(EX_USAGE),
            Self::Certs(_) | Self::NotBuilt | Self::Output(_) => ExitCode::FAILURE,
        }
    }
}

/// Help and version are what was asked for; everything else is a wrong command line.
fn usage(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    if error.use_stderr() {
        ExitCode::from(EX_USAGE)
    } else if printed.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// One line on standard error; there is nowhere left to report that it could not be written.
fn say(message: &str) {
    let _ = writeln!(io::stderr().lock(), "hybridge: {message}");
}
