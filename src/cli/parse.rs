//! Arguments and variables of this process as a command.

use clap::{Arg, Command, CommandFactory, FromArgMatches};

use super::Cli;

/// Parses them. A variable without a value counts as unset for every command, as it does for `run`.
pub fn parse() -> Result<Cli, clap::Error> {
    let mut command = without_empty_variables(Cli::command());
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

fn without_empty_variables(command: Command) -> Command {
    command
        .mut_args(|arg| {
            if is_empty(&arg) {
                arg.env(None::<&str>)
            } else {
                arg
            }
        })
        .mut_subcommands(without_empty_variables)
}

/// Whether its variable is there and holds nothing but white space.
fn is_empty(arg: &Arg) -> bool {
    let value = arg.get_env().and_then(std::env::var_os);
    value.is_some_and(|value| value.to_string_lossy().trim().is_empty())
}
