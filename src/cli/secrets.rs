//! A key on the command line: refused before clap sees it, and kept out of what clap repeats.

use std::borrow::Cow;
use std::ffi::OsString;

pub use crate::redact::clean;

/// What is written, or is named in what is written, and so would be repeated.
const OUTPUTS: [&str; 7] = [
    "--dir",
    "--out",
    "-o",
    "--secret",
    "--webhook",
    "--service",
    "--namespace",
];

/// The refusal if an argument is a key or certificate as a whole.
pub fn refuse_key_text(arguments: impl Iterator<Item = OsString>) -> Option<String> {
    crate::redact::refuse_key_text(arguments, &OUTPUTS)
}

/// What to print instead of `error`, if clap's own text would repeat what may be a key or a password.
pub fn without_secrets(error: &clap::Error) -> Option<String> {
    let text = error.render().to_string();
    match clean(&text) {
        Cow::Borrowed(_) => None,
        Cow::Owned(clean) => Some(clean),
    }
}

#[cfg(test)]
mod tests {
    /// clap would print the value of a variable in `--help`.
    #[test]
    fn no_help_shows_the_value_of_a_variable() {
        fn shown(command: &clap::Command) -> Vec<String> {
            let of_variable = |argument: &&clap::Arg| {
                argument.get_env().is_some() && !argument.is_hide_env_values_set()
            };
            let own = command.get_arguments().filter(of_variable);
            let own = own.map(|argument| argument.get_id().to_string());
            own.chain(command.get_subcommands().flat_map(shown))
                .collect()
        }
        let command = <crate::cli::Cli as clap::CommandFactory>::command();
        assert_eq!(shown(&command), Vec::<String>::new());
    }
}
