//! The flags of `run` and `check`: one for each setting.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};

use crate::config::{DefaultValue, Flags, Key, ValueType};

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Configuration file (TOML)")
            .help_heading("Process");
        let positional = Arg::new("file")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .conflicts_with("config")
            .help("The same as --config FILE");
        let ports = Arg::new("ports")
            .long("ports")
            .value_name("PORT=UPSTREAM,…")
            .help("One listener for each entry, on the addresses of --listen (written without a port) or else of POD_IPS")
            .help_heading("Listener");
        let egress = Arg::new("egress")
            .long("egress")
            .value_name("NAME=LISTEN->TARGET,…")
            .action(ArgAction::Append)
            .help("One egress for each entry: plaintext of this host at LISTEN goes over TLS to TARGET")
            .help_heading("Egress");
        let settings = Key::ALL.iter().map(|key| argument(*key));
        command
            .arg(positional)
            .arg(config)
            .args(settings)
            .arg(ports)
            .arg(egress)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let typed = |key: Key| {
            let values = matches.get_many::<String>(key.flag())?;
            Some((key, values.cloned().collect::<Vec<_>>().join(",")))
        };
        Ok(Self {
            config: matches
                .get_one("config")
                .or_else(|| matches.get_one("file"))
                .cloned(),
            ports: matches.get_one("ports").cloned(),
            egress: matches
                .get_many::<String>("egress")
                .map(|entries| entries.cloned().collect::<Vec<_>>().join(",")),
            settings: Key::ALL.iter().copied().filter_map(typed).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// A value stays text here: it is read where those of environment and file are, with one message for all.
fn argument(key: Key) -> Arg {
    let argument = Arg::new(key.flag())
        .long(key.flag())
        .value_name(placeholder(key.value_type()))
        .help(help(key))
        .help_heading(heading(key));
    match key.value_type() {
        ValueType::Switch => argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        _ if key.is_list() => argument.action(ArgAction::Append),
        _ => argument,
    }
}

fn placeholder(form: ValueType) -> &'static str {
    match form {
        ValueType::Addresses(_) | ValueType::Upstream => "ADDR",
        ValueType::Choice(_) => "WORD",
        ValueType::Count(..) => "N",
        ValueType::Delay | ValueType::Duration | ValueType::Timeout => "DURATION",
        ValueType::Names => "NAME,…",
        ValueType::Networks => "NETWORK,…",
        ValueType::Path => "FILE",
        ValueType::Ratio => "SHARE",
        ValueType::Size(..) => "SIZE",
        ValueType::Switch => "true|false",
        ValueType::Text => "TEXT",
        ValueType::Words(_) => "WORD,…",
    }
}

fn help(key: Key) -> String {
    let mut notes = vec![key.help().to_owned()];
    if let ValueType::Choice(words) = key.value_type() {
        notes.push(format!("[one of: {}]", words.join(", ")));
    }
    if let ValueType::Words(words) = key.value_type() {
        notes.push(format!("[any of: {}; or none]", words.join(", ")));
    }
    if let DefaultValue::Fixed(text) | DefaultValue::Derived(text) = key.default() {
        notes.push(format!("[default: {text}]"));
    }
    notes.join(" ")
}

fn heading(key: Key) -> &'static str {
    match key.section() {
        "listener" => "Listener",
        "listener.tls" => "TLS",
        "listener.limits" => "Limits",
        "listener.timeouts" => "Timeouts",
        "listener.census" => "Census",
        "listener.signature" => "Signatures",
        "traces" => "Traces",
        section if section.starts_with("egress") => "Egress",
        _ => "Process",
    }
}
