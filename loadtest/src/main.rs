//! The `hybridge-loadtest` program: parse, choose a runtime that fits the cores, dispatch, exit code.
//! 0 done, 1 the run failed (what was measured is kept), 3 a --fail-if condition is met, 64 usage error, 130
//! interrupted (likewise kept), 141 the reader of standard output has gone.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use hybridge_loadtest::cli::Cli;
use hybridge_loadtest::error::Error;
use hybridge_loadtest::{command, secret};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    if let Some(refusal) = secret::refusal(arguments.iter().map(String::as_str)) {
        writeln!(std::io::stderr(), "hybridge-loadtest: {refusal}").ok();
        return ExitCode::from(64);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; anything else is a usage error.
            let code = if error.use_stderr() { 64 } else { 0 };
            let printed = error.print().map_err(Error::Output);
            return ExitCode::from(match printed {
                Err(error) if code == 0 => error.exit_code(),
                _ => code,
            });
        }
    };
    match command::dispatch(cli.command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            if !error.is_broken_pipe() {
                writeln!(std::io::stderr(), "hybridge-loadtest: {error}").ok();
            }
            ExitCode::from(error.exit_code())
        }
    }
}
