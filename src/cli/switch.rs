//! A switch with a value that clap misreads: `--doctor true` of `scan` is the host `true` to it.

use std::ffi::OsString;

use clap::{Arg, ArgAction};

use super::place::{place, program};
use crate::config::{Key, ValueType};

/// The refusal if a switch is followed by what is meant as its value, or has a value and takes none; `arguments`
/// are those of the process.
pub fn refuse_switch_value(arguments: impl Iterator<Item = OsString>) -> Option<String> {
    let arguments: Vec<OsString> = arguments.collect();
    let (command, rest) = arguments.split_first()?;
    let values = rest.iter().enumerate().filter_map(|(at, argument)| {
        let flag = argument.to_str()?.strip_prefix("--")?;
        let (flag, word, is_joined) = match flag.split_once('=') {
            Some((flag, word)) => (flag, word, true),
            None => (flag, rest.get(at + 1)?.to_str()?, false),
        };
        meaning(word, is_joined).map(|value| Given {
            flag,
            value,
            is_joined,
        })
    });
    let values: Vec<Given<'_>> = values.collect();
    if command == "run" || command == "check" {
        return values.iter().find_map(Given::refuse_of_key);
    }
    // Most command lines have none: only then it is worth to look at every flag there is.
    if values.is_empty() {
        return None;
    }
    let program = program();
    let (command, _) = place(&program, &arguments);
    let is_switch = |arg: &&Arg| matches!(arg.get_action(), ArgAction::SetTrue);
    let switches = command.get_arguments().filter(is_switch);
    let switches: Vec<&str> = switches.filter_map(Arg::get_long).collect();
    let mut wrong = values.iter().filter(|given| switches.contains(&given.flag));
    wrong.next().map(|Given { flag, value, .. }| {
        let remedy = if *value {
            format!("write --{flag}")
        } else {
            "leave it out".to_owned()
        };
        format!("--{flag} is a switch and takes no value: {remedy}")
    })
}

/// What is meant as the value of a flag.
struct Given<'a> {
    flag: &'a str,
    value: bool,
    /// Behind `=`.
    is_joined: bool,
}

impl Given<'_> {
    fn refuse_of_key(&self) -> Option<String> {
        let Self {
            flag,
            value,
            is_joined,
        } = self;
        let is_switch = |key: &&Key| key.flag() == *flag && key.value_type() == ValueType::Switch;
        Key::ALL.iter().find(is_switch).filter(|_| !is_joined)?;
        Some(format!(
            "--{flag}: its value stands behind `=`: write --{flag}={value}"
        ))
    }
}

/// A digit may be the name of a file where it stands alone.
fn meaning(word: &str, is_joined: bool) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        "1" if is_joined => Some(true),
        "0" if is_joined => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_behind_a_space_is_refused_with_the_flag_that_it_is_for() {
        for (line, expected) in [
            ("run --stream-metrics true", Some("--stream-metrics=true")),
            (
                "check a.toml --allow-any --egress-resumption OFF",
                Some("--egress-resumption=false"),
            ),
            (
                "run --unsafe-remote-upstream no",
                Some("--unsafe-remote-upstream=false"),
            ),
            ("run --allow-any=true", None),
            ("run --allow-any a.toml", None),
            ("run --allow-any --config true", None),
            ("run --name true", None),
            ("scan --allow-any true", None),
            ("", None),
        ] {
            let arguments = line.split_whitespace().map(OsString::from);
            let refused = refuse_switch_value(arguments);
            let write = refused.as_deref().and_then(|text| text.rsplit(' ').next());
            assert_eq!(write, expected, "{line}");
        }
    }

    #[test]
    fn a_switch_that_takes_no_value_gets_none() {
        for (line, expected) in [
            ("scan --doctor true", Some("write --doctor")),
            ("scan a:1 --doctor=true", Some("write --doctor")),
            ("scan --doctor=0 a:1", Some("leave it out")),
            ("inject --check no", Some("leave it out")),
            (
                "inject serve --platform-user on",
                Some("write --platform-user"),
            ),
            ("ctl census --json True", Some("write --json")),
            ("certs --force=yes", Some("write --force")),
            ("scan --doctor a:1", None),
            ("scan --doctor 1", None),
            ("scan --allow-any true", None),
            ("scan --format true", None),
            ("ctl --json true", None),
        ] {
            let arguments = line.split_whitespace().map(OsString::from);
            let refused = refuse_switch_value(arguments);
            let remedy = refused.as_deref().and_then(|text| text.rsplit(": ").next());
            assert_eq!(remedy, expected, "{line}");
        }
    }
}
