//! The command that a command line names, found without clap's parser: for what that refuses or misreads.

use std::ffi::OsString;

use clap::{Command, CommandFactory};

use super::Cli;

/// Every command, each with the names of those above it.
pub(super) fn program() -> Command {
    let mut program = Cli::command();
    program.build();
    program
}

/// The command, and the arguments behind its name; `arguments` are those of the process.
pub(super) fn place<'a>(
    program: &'a Command,
    arguments: &'a [OsString],
) -> (&'a Command, &'a [OsString]) {
    let (mut command, mut rest) = (program, arguments);
    while let Some((word, behind)) = rest.split_first()
        && let Some(below) = command.find_subcommand(word)
    {
        (command, rest) = (below, behind);
    }
    (command, rest)
}
