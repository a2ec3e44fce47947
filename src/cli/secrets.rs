//! A key on the command line: refused before clap sees it, and kept out of what clap repeats. People who
//! mean the file of a key type its text or its base64 (`--key "$(cat tls.key)"`).

use std::borrow::Cow;
use std::ffi::OsString;

use crate::redact::{Secret, scrub, without_userinfo_of};

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
    let mut before = None;
    for argument in arguments {
        let argument = argument.to_string_lossy().into_owned();
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) if is_flag(name) => (Some(name.to_owned()), value),
            _ => (before.take(), argument.as_str()),
        };
        let is_output = name.as_deref().is_some_and(|name| OUTPUTS.contains(&name));
        if let Some(what) = Secret::of(value).filter(|what| is_output || what.is_whole()) {
            let name = name.unwrap_or_else(|| "the command line".to_owned());
            let bytes = value.len();
            return Some(format!(
                "{name} takes no key and no certificate, but {what} was given ({bytes} bytes, not shown): {}",
                what.remedy()
            ));
        }
        before = Some(argument).filter(|argument| is_flag(argument));
    }
    None
}

fn is_flag(text: &str) -> bool {
    let name = text.trim_start_matches('-');
    text.starts_with('-')
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() < 40
        && name.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

/// What to print instead of `error`, if clap's own text would repeat what may be a key or a password.
pub fn without_secrets(error: &clap::Error) -> Option<String> {
    let text = error.render().to_string();
    match clean(&text) {
        Cow::Borrowed(_) => None,
        Cow::Owned(clean) => Some(clean),
    }
}

/// A message without what may be a key, and without passwords that an argument has before a host.
pub fn clean(message: &str) -> Cow<'_, str> {
    let arguments: Vec<_> = std::env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    match without_userinfo_of(message, &arguments) {
        Cow::Borrowed(message) => scrub(message),
        Cow::Owned(clean) => Cow::Owned(scrub(&clean).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(arguments: &[&str]) -> Option<String> {
        refuse_key_text(arguments.iter().map(OsString::from))
    }

    #[test]
    fn a_key_is_refused_with_the_flag_it_follows() {
        let pem = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n";
        for (arguments, flag) in [
            (&["run", "--key", pem][..], "--key"),
            (&["run", &format!("--cert={pem}")], "--cert"),
            (&["inject", "-f", pem], "-f"),
            (&[pem], "the command line"),
        ] {
            let refusal = refusal(arguments).unwrap_or_default();
            let expected = format!(
                "{flag} takes no key and no certificate, but PEM text was given (59 bytes, not shown): put it in a file and write the file's path"
            );
            assert_eq!(refusal, expected);
        }
        assert_eq!(refusal(&["run", "--key", "tls.key", "--listen=:1"]), None);
        let line = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgZZPjUsUnUvmxRx7U";
        for (arguments, flag) in [
            (["certs", "--dir", &format!("x/{line}.pem")], "--dir"),
            (["keys", "--out", &format!("x/{line}.d")], "--out"),
            (["inject", "--secret", &format!("x.{line}")], "--secret"),
            (["inject", "--webhook", &format!("{line}.x")], "--webhook"),
        ] {
            let said = refusal(&arguments).unwrap_or_default();
            assert!(said.starts_with(&format!("{flag} takes no key")), "{said}");
            assert!(!said.contains(&line[8..24]), "{said}");
        }
    }

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
