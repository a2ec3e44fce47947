//! A word where a command could stand: one of another place, as in `hybridge serve`, which is `hybridge inject
//! serve`, or one that is misspelt where clap takes it for a file.

use std::ffi::OsString;
use std::path::Path;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::place::{place, program};
use crate::suggest::suggest;

/// What to write instead, if `error` is about a word that is a command elsewhere; `arguments` are those of the
/// process.
pub fn belongs_to(
    error: &clap::Error,
    arguments: impl Iterator<Item = OsString>,
) -> Option<String> {
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let written = error.get(ContextKind::InvalidSubcommand)?;
            let ContextValue::String(written) = written else {
                return None;
            };
            elsewhere(&program(), written)
        }
        ErrorKind::UnknownArgument => unmeant(arguments),
        _ => None,
    }
}

/// What to write instead, if the first argument of a command is meant as a command: no file, but the name of a
/// command elsewhere, or close to one that could stand there.
pub fn unmeant(arguments: impl Iterator<Item = OsString>) -> Option<String> {
    let arguments: Vec<OsString> = arguments.collect();
    let program = program();
    let (command, rest) = place(&program, &arguments);
    let word = rest
        .first()?
        .to_str()
        .filter(|word| !word.starts_with('-'))?;
    let takes_files = command.get_positionals().next().is_some();
    if !takes_files {
        return elsewhere(&program, word);
    }
    let below = || command.get_subcommands().map(Command::get_name);
    if below().next().is_none() || Path::new(word).symlink_metadata().is_ok() {
        return None;
    }
    match suggest(word, below()) {
        Some(name) => {
            let above = command.get_bin_name().unwrap_or_default();
            Some(format!(
                "`{word}` is no command, and there is no such file: did you mean `{above} {name}`?"
            ))
        }
        None => elsewhere(&program, word),
    }
}

/// Each command of that name, in full.
fn elsewhere(program: &Command, word: &str) -> Option<String> {
    let mut found = Vec::new();
    collect(program, word, &mut found);
    (!found.is_empty()).then(|| {
        let found = found.join("` or `");
        format!("`{word}` is no command here: write `{found}`")
    })
}

fn collect<'a>(command: &'a Command, word: &str, found: &mut Vec<&'a str>) {
    // Below `help` all of them stand once more.
    for below in command.get_subcommands().filter(|c| c.get_name() != "help") {
        if below.get_name() == word {
            found.extend(below.get_bin_name());
        }
        collect(below, word, found);
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Cli;
    use super::*;

    fn said(line: &str) -> Option<String> {
        let words = || line.split_whitespace().map(OsString::from);
        match Cli::try_parse_from(["hybridge".into()].into_iter().chain(words())) {
            Ok(_) => unmeant(words()),
            Err(error) => belongs_to(&error, words()),
        }
    }

    #[test]
    fn a_command_of_another_place_is_named_in_full() {
        for (line, expected) in [
            (
                "serve",
                "`serve` is no command here: write `hybridge inject serve`",
            ),
            (
                "drain",
                "`drain` is no command here: write `hybridge ctl drain`",
            ),
            (
                "ctl check",
                "`check` is no command here: write `hybridge check` or `hybridge inject check`",
            ),
            (
                "ctl --admin 127.0.0.1:1 status",
                "`status` is no command here: write `hybridge inject status`",
            ),
            (
                "ticket-keys run",
                "`run` is no command here: write `hybridge run`",
            ),
            (
                "inject drain",
                "`drain` is no command here: write `hybridge ctl drain`",
            ),
            (
                "demo rotate",
                "`rotate` is no command here: write `hybridge ticket-keys rotate`",
            ),
            (
                "help serve",
                "`serve` is no command here: write `hybridge inject serve`",
            ),
        ] {
            assert_eq!(said(line).as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn a_word_close_to_a_command_is_no_file() {
        for (line, meant) in [
            ("inject chek", "hybridge inject check"),
            ("inject srve --listen 127.0.0.1:1", "hybridge inject serve"),
            ("inject Status", "hybridge inject status"),
        ] {
            let said = said(line).unwrap_or_default();
            let expected = format!("there is no such file: did you mean `{meant}`?");
            assert!(said.ends_with(&expected), "{line}: {said}");
        }
    }

    #[test]
    fn nothing_is_said_of_other_words() {
        for line in [
            "nonsense",
            "--nonsense",
            "ctl nonsense",
            "inject deployment.yaml",
            "inject -f serve",
            "inject src",
            "run --tls-crt x",
            "check serve --tls-crt x",
            "scan check",
            "demo nonsense",
        ] {
            assert_eq!(said(line), None, "{line}");
        }
    }
}
