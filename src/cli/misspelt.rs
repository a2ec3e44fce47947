//! A flag that is none of a command's: which one may be meant. clap's own rule finds `--probes` like `--verbose`.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::place::{place, program};
use crate::config::flag_meant;

/// Replaces what clap suggests instead of a flag; `arguments` are those of the process.
pub fn suggest_flag(error: &mut clap::Error, arguments: impl Iterator<Item = OsString>) {
    if error.kind() != ErrorKind::UnknownArgument {
        return;
    }
    let Some(ContextValue::String(written)) = error.get(ContextKind::InvalidArg) else {
        return;
    };
    let flag = written.strip_prefix("--").map(str::to_owned);
    // clap proposes to take it for a value, which hardly anyone means.
    error.remove(ContextKind::Suggested);
    error.remove(ContextKind::SuggestedArg);
    let Some(name) = flag else {
        return;
    };
    let (program, arguments) = (program(), arguments.collect::<Vec<_>>());
    let (command, _) = place(&program, &arguments);
    // clap puts the flag of its guess there.
    let usage = command.clone().render_usage();
    error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
    let flags: Vec<&str> = command
        .get_arguments()
        .filter_map(clap::Arg::get_long)
        .collect();
    if let Some(flag) = flag_meant(&name, &flags) {
        let flag = ContextValue::String(format!("--{flag}"));
        error.insert(ContextKind::SuggestedArg, flag);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;

    use super::super::Cli;
    use super::*;

    fn suggested(line: &str) -> Option<String> {
        let arguments: Vec<&str> = line.split(' ').collect();
        let mut error = Cli::try_parse_from(&arguments).err().unwrap();
        suggest_flag(&mut error, arguments.iter().skip(1).map(OsString::from));
        match error.get(ContextKind::SuggestedArg) {
            Some(ContextValue::String(flag)) => Some(flag.clone()),
            _ => None,
        }
    }

    #[test]
    fn a_flag_is_suggested_by_meaning_and_then_by_spelling() {
        for (line, flag) in [
            ("run --ca x", Some("--client-ca")),
            ("run --backend x", Some("--upstream")),
            ("run --verbose", Some("--log-level")),
            ("run --insecure", None),
            ("run --polcy x", Some("--policy")),
            ("check --listner x", Some("--listen")),
            ("inject serve --verbose", Some("--log-level")),
            ("run --cacert x", Some("--client-ca")),
            ("run --tls-cert x", Some("--cert")),
            ("run --tls-key x", Some("--key")),
            ("run --host x", Some("--listen")),
            ("run --metrics", Some("--admin")),
            ("run --client-cert x", Some("--client-ca")),
            ("run --egress-host x", None),
            ("run -v", None),
            ("scan --ca x", None),
            ("probe --client-cert x", None),
            ("probe --cacert x", Some("--ca")),
            ("probe --verbose", None),
        ] {
            let line = format!("hybridge {line}");
            assert_eq!(suggested(&line).as_deref(), flag, "{line}");
        }
    }

    #[test]
    fn the_usage_is_that_of_the_command() {
        for (line, usage) in [
            ("run --tls-crt x", "Usage: hybridge run [OPTIONS] [FILE]"),
            ("inject serve --verbose", "Usage: hybridge inject serve "),
        ] {
            let arguments: Vec<&str> = ["hybridge"].into_iter().chain(line.split(' ')).collect();
            let mut error = Cli::try_parse_from(&arguments).err().unwrap();
            suggest_flag(&mut error, arguments.iter().skip(1).map(OsString::from));
            let said = error.render().to_string();
            assert!(said.contains(usage), "{said}");
        }
    }

    #[test]
    fn clap_does_not_propose_the_flag_as_a_value() {
        for line in [
            "run --tls-cert x",
            "check -v",
            "scan --ca x",
            "certs --key x",
        ] {
            let arguments: Vec<&str> = ["hybridge"].into_iter().chain(line.split(' ')).collect();
            let mut error = Cli::try_parse_from(&arguments).err().unwrap();
            suggest_flag(&mut error, arguments.iter().skip(1).map(OsString::from));
            let said = error.render().to_string();
            assert!(
                said.contains("unexpected argument") && !said.contains("as a value"),
                "{said}"
            );
        }
    }
}
