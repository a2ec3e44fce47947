//! The `hybridge-loadtest` program: parse, choose a runtime that fits the cores, dispatch, exit code.
//! 0 done, 1 the run failed (what was measured is kept), 3 a --fail-if condition is met, 64 usage error, 130
//! interrupted (likewise kept), 141 the reader of standard output has gone.

use std::process::ExitCode;

use clap::Parser;
use hybridge_loadtest::cli::Cli;
use hybridge_loadtest::error::Error;
use hybridge_loadtest::{command, terminal};

fn main() -> ExitCode {
    if let Some(refusal) = terminal::refusal(std::env::args_os().skip(1)) {
        terminal::say(&format!("hybridge-loadtest: {refusal}"));
        return ExitCode::from(64);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; anything else is a usage error.
            let code = if error.use_stderr() { 64 } else { 0 };
            let text = error.render().to_string();
            if code != 0 && terminal::shown(&text) != text {
                // Not as clap prints it, which repeats a secret.
                terminal::say(text.trim_end());
                return ExitCode::from(code);
            }
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
                terminal::say(&format!("hybridge-loadtest: {error}"));
            }
            ExitCode::from(error.exit_code())
        }
    }
}
