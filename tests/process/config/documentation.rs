//! The documentation names every key and every flag.

use super::*;

/// The first columns of a key's row in docs/configuration.md.
fn row(key: Key) -> String {
    let default = match key.default() {
        DefaultValue::Fixed(text)
            if matches!(key.value_type(), ValueType::Count(..) | ValueType::Switch) =>
        {
            format!("`{text}`")
        }
        DefaultValue::Fixed(text) => format!("`\"{text}\"`"),
        DefaultValue::Derived(text) => text.to_owned(),
        DefaultValue::Required => "none: must be given".to_owned(),
    };
    let (path, flag, variable, form) = (key.path(), key.flag(), key.variable(), key.value_type());
    format!("| `{path}` | `--{flag}` `{variable}` | {form} | {default} | ")
}

#[test]
fn the_documentation_has_a_row_for_every_key_with_flag_variable_form_default_and_reason() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let text = fs::read_to_string(path).unwrap();
    let missing: Vec<_> = Key::ALL
        .iter()
        .map(|key| row(*key))
        .filter(|row| {
            let reason = text
                .lines()
                .find_map(|line| line.strip_prefix(row.as_str()));
            reason.is_none_or(|reason| reason.trim_end_matches('|').trim().len() < 20)
        })
        .collect();
    assert!(
        missing.is_empty(),
        "no row with a reason for:\n{}",
        missing.join("\n")
    );
    for special in [
        "`--config` `HYBRIDGE_CONFIG`",
        "`--ports` `HYBRIDGE_PORTS`",
        "`--egress` `HYBRIDGE_EGRESS`",
        "`POD_IPS`",
    ] {
        assert!(text.contains(special), "{special}");
    }
}

#[test]
fn every_flag_of_the_command_line_is_documented() {
    use clap::CommandFactory;
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    let mut flags: Vec<_> = run
        .get_arguments()
        .filter_map(clap::Arg::get_long)
        .collect();
    let mut documented: Vec<_> = Key::ALL.iter().map(|key| key.flag()).collect();
    documented.extend(["config", "ports", "egress"]);
    flags.sort_unstable();
    documented.sort_unstable();
    assert_eq!(flags, documented);
}

/// Its variables, and that the upstream is where its model server listens.
#[test]
fn run_accepts_the_variables_of_the_compose_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/compose.yaml");
    let text = fs::read_to_string(path).unwrap();
    let variables: Environment = text
        .lines()
        .filter_map(|line| line.trim().split_once(": "))
        .filter(|(name, _)| name.starts_with("HYBRIDGE_"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let Loaded {
        config, warnings, ..
    } = Config::load(&Flags::default(), &variables).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    let listener = &config.listeners[0];
    assert_eq!(listener.proxy.upstream.to_string(), "127.0.0.1:8000");
    assert!(text.contains(r#""--host", "127.0.0.1", "--port", "8000""#));
    assert!(config.drain.timeout < std::time::Duration::from_secs(125));
    assert!(text.contains("stop_grace_period: 125s"));
}
