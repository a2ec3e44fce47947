//! A switch with its value behind a space: clap takes `true` for the file.

use std::ffi::OsString;

use crate::config::{Key, ValueType};

/// The refusal if a switch of `run` or `check` is followed by what is meant as its value.
pub fn refuse_separate_value(arguments: impl Iterator<Item = OsString>) -> Option<String> {
    let arguments: Vec<OsString> = arguments.collect();
    let (command, rest) = arguments.split_first()?;
    if command != "run" && command != "check" {
        return None;
    }
    rest.iter()
        .zip(rest.iter().skip(1))
        .find_map(|(flag, word)| {
            let flag = flag.to_str()?.strip_prefix("--")?;
            let value = match word.to_str()?.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" => true,
                "false" | "no" | "off" => false,
                _ => return None,
            };
            let is_switch =
                |key: &&Key| key.flag() == flag && key.value_type() == ValueType::Switch;
            Key::ALL.iter().find(is_switch)?;
            Some(format!(
                "--{flag}: its value stands behind `=`: write --{flag}={value}"
            ))
        })
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
            let refused = refuse_separate_value(arguments);
            let write = refused.as_deref().and_then(|text| text.rsplit(' ').next());
            assert_eq!(write, expected, "{line}");
        }
    }
}
