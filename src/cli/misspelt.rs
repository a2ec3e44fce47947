//! A flag that is none of a command's: which one may be meant. clap's own rule finds `--probes` like `--verbose`.

use std::ffi::OsString;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Cli;
use crate::suggest::{Aliases, suggest, suggest_or_alias};

/// Flags of other programs, each with the one that it has here.
const FLAGS: Aliases = &[
    ("addr", "listen"),
    ("address", "listen"),
    ("backend", "upstream"),
    ("bind", "listen"),
    ("ca", "client-ca"),
    ("cacert", "ca"),
    ("cert-file", "cert"),
    ("certificate", "cert"),
    ("ciphers", "cipher-suites"),
    ("curves", "groups"),
    ("debug", "log-level"),
    ("key-file", "key"),
    ("mode", "policy"),
    ("mtls", "client-auth"),
    ("port", "listen"),
    ("private-key", "key"),
    ("resumption", "tickets"),
    ("target", "upstream"),
    ("threads", "workers"),
    ("verbose", "log-level"),
];

/// Replaces what clap suggests instead of a flag; `arguments` are those of the process.
pub fn suggest_flag(error: &mut clap::Error, arguments: impl Iterator<Item = OsString>) {
    if error.kind() != ErrorKind::UnknownArgument {
        return;
    }
    let Some(ContextValue::String(written)) = error.get(ContextKind::InvalidArg) else {
        return;
    };
    let Some(name) = written.strip_prefix("--").map(str::to_owned) else {
        return;
    };
    let program = Cli::command();
    let mut command = &program;
    for argument in arguments {
        let Some(below) = command.find_subcommand(&argument) else {
            break;
        };
        command = below;
    }
    let flags: Vec<&str> = command
        .get_arguments()
        .filter_map(clap::Arg::get_long)
        .collect();
    let known = |flag: &&str| flags.contains(flag);
    let found = suggest_or_alias(&name, [], FLAGS).filter(known);
    let found = found.or_else(|| suggest(&name, flags.iter().copied()));
    error.remove(ContextKind::SuggestedArg);
    if let Some(flag) = found {
        let flag = ContextValue::String(format!("--{flag}"));
        error.insert(ContextKind::SuggestedArg, flag);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;

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
            ("probe --cacert x", Some("--ca")),
            ("probe --verbose", None),
        ] {
            let line = format!("hybridge {line}");
            assert_eq!(suggested(&line).as_deref(), flag, "{line}");
        }
    }

    #[test]
    fn every_alias_is_a_flag_of_a_command_and_no_flag_itself() {
        let program = Cli::command();
        let of = |name: &str| program.find_subcommand(name).unwrap().get_arguments();
        let flags = of("run").chain(of("probe")).filter_map(clap::Arg::get_long);
        let flags: Vec<&str> = flags.collect();
        for (alias, flag) in FLAGS {
            assert!(flags.contains(flag), "{alias} -> {flag}");
        }
    }
}
