//! A key on the command line: refused before anything could repeat it, and kept out of what is printed. People
//! who mean the file of a key type its text or its base64 (`--key "$(cat tls.key)"`).

use std::borrow::Cow;
use std::ffi::OsString;

use super::{Secret, scrub, without_userinfo_of};

/// The refusal if an argument is a key or certificate as a whole, or behind one of `outputs` a part of one: what
/// is written, or is named in what is written, would repeat it.
pub fn refuse_key_text(
    arguments: impl Iterator<Item = OsString>,
    outputs: &[&str],
) -> Option<String> {
    let mut before = None;
    for argument in arguments {
        let argument = argument.to_string_lossy().into_owned();
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) if is_flag(name) => (Some(name.to_owned()), value),
            _ => (before.take(), argument.as_str()),
        };
        let is_output = name.as_deref().is_some_and(|name| outputs.contains(&name));
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

/// A message without what may be a key, and without passwords that an argument of this process has
/// before a host.
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

    const OUTPUTS: [&str; 4] = ["--dir", "--out", "--secret", "--webhook"];

    fn refusal(arguments: &[&str]) -> Option<String> {
        refuse_key_text(arguments.iter().map(OsString::from), &OUTPUTS)
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
}
