//! What operators write, and what they are told: files good and bad, flags, environment, documentation.

mod documentation;
mod ports;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use hybridge::cli::{Cli, Command};
use hybridge::config::{Config, DefaultValue, Environment, Error, Flags, Key, Loaded, ValueType};

const LISTENER: &str = "[[listener]]
listen = '127.0.0.1:8443'
upstream = '127.0.0.1:8000'
tls.cert = 'tls.crt'
tls.key = 'tls.key'
";

/// The TOML files of a folder of this repository; none is a failure of the test.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    assert!(!files.is_empty(), "no file in {}", folder.display());
    files.sort();
    files
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn parse(path: &Path) -> Result<Config, Error> {
    Config::parse(name(path), &fs::read_to_string(path).unwrap())
}

fn flags(arguments: &[&str]) -> Flags {
    let arguments = ["hybridge", "run"].iter().chain(arguments);
    match Cli::try_parse_from(arguments).unwrap().command {
        Command::Run(flags) => flags,
        other => panic!("run became {other:?}"),
    }
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    variables.iter().map(owned).collect()
}

fn load(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Loaded, String> {
    Config::load(&flags(arguments), &environment(variables)).map_err(|error| error.to_string())
}

fn config(arguments: &[&str], variables: &[(&str, &str)]) -> Config {
    load(arguments, variables).unwrap().config
}

/// A file that lives as long as the value.
fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, text).unwrap();
    file
}

/// Flags of a listener that lacks nothing.
const WHOLE: [&str; 8] = [
    "--listen",
    "127.0.0.1:8443",
    "--upstream",
    "127.0.0.1:8000",
    "--cert",
    "tls.crt",
    "--key",
    "tls.key",
];

fn whole(more: &[&'static str]) -> Vec<&'static str> {
    [&WHOLE, more].concat()
}

/// As an operator would, in a pod with two addresses.
fn load_file(path: &Path) -> Config {
    let arguments = ["--config", path.to_str().unwrap()];
    config(&arguments, &[("POD_IPS", "10.1.2.3,fd00::3")])
}

#[test]
fn every_example_and_every_valid_file_loads() {
    for folder in ["config", "tests/config/valid"] {
        for path in files(folder) {
            let config = load_file(&path);
            let some = config.listeners.len() + config.egresses.len();
            assert!(some > 0, "{}", path.display());
        }
    }
}

#[test]
fn every_invalid_file_is_refused_with_the_message_beside_it() {
    for path in files("tests/config/invalid") {
        let expected = fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        let given = match parse(&path) {
            Ok(_) => "no error".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(given, expected.trim_end(), "{}", path.display());
    }
}

#[test]
fn whatever_byte_is_wrong_the_error_is_one_line_that_names_the_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/valid/every-key.toml");
    let good = fs::read_to_string(path).unwrap();
    let mut refused = 0;
    for (at, wrong) in
        (0..good.len()).flat_map(|at| ["", "\"", "\n", "[", "9"].map(|wrong| (at, wrong)))
    {
        let text = format!("{}{wrong}{}", &good[..at], &good[at + 1..]);
        if let Err(error) = Config::parse("mutated.toml", &text) {
            let message = error.to_string();
            assert!(message.starts_with("mutated.toml:"), "{message}");
            assert!(!message.contains('\n'), "{message}");
            refused += 1;
        }
    }
    assert!(refused > good.len(), "{refused}");
}

#[test]
fn what_check_prints_loads_to_the_same_configuration() {
    for folder in ["config", "tests/config/valid"] {
        for path in files(folder) {
            let config = load_file(&path);
            let again = Config::parse("printed", &config.to_string()).unwrap();
            assert_eq!(
                format!("{config:?}"),
                format!("{again:?}"),
                "{}",
                path.display()
            );
        }
    }
}

/// A token in it is no secret less because `check` printed it; what lacks it does not start by mistake.
#[test]
fn the_path_of_a_collector_is_not_printed() {
    let traces = "[traces]\nendpoint = \"http://127.0.0.1:4318/v/t0ken\"\n";
    let config = Config::parse("written", &format!("{traces}{LISTENER}")).unwrap();
    let printed = config.to_string();
    assert!(!printed.contains("t0ken"), "{printed}");
    let error = Config::parse("printed", &printed).unwrap_err().to_string();
    let expected = "`http://127.0.0.1:4318/(path, not shown)` is no URL";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn header_values_and_queries_of_probes_are_not_printed() {
    let table = r#"[{"path":"/probe/a/readiness","kind":"http","address":"127.0.0.1","port":8000,"target":"/health?key=t0ken","headers":[{"name":"Authorization","value":"Bearer t0ken"}],"timeoutSeconds":1}]"#;
    let admin = format!("[admin]\nprobes = '{table}'\n");
    let config = Config::parse("written", &format!("{admin}{LISTENER}")).unwrap();
    let printed = config.to_string();
    assert!(!printed.contains("t0ken"), "{printed}");
    for shown in [
        r#""target":"/health?(query, not shown)""#,
        r#""name":"Authorization","value":"(not shown)""#,
    ] {
        let mut lines = printed.lines();
        let is_comment = |line: &str| line.starts_with("# probes: ") && line.contains(shown);
        assert!(lines.any(is_comment), "{printed}");
    }
}

#[test]
fn every_key_changes_what_runs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/valid/every-key.toml");
    let text = fs::read_to_string(&path).unwrap();
    let default = Config::parse("default", LISTENER).unwrap().to_string();
    let default: Vec<&str> = default.lines().collect();
    let changed = parse(&path).unwrap().to_string();
    // The protocol stays: `tcp` would exclude the keys of HTTP, and `allow-any` the other rules; tcp-with-identity.toml has one.
    // The protocol of an egress stays too, its server-name excludes peer-ids, its capture a target: egress-*.toml
    // have them, and the mode of a Unix socket. A tunnel has no upstream: tunnel.toml. A profile refuses others' values, an agent files: profile, spiffe.
    let excluded = [
        Key::Protocol,
        Key::AllowAny,
        Key::UpstreamProxyProtocol,
        Key::TunnelTo,
        Key::TunnelPorts,
        Key::UnsafeOpenTunnel,
        Key::EgressTunnel,
        Key::EgressSocketMode,
        Key::EgressProtocol,
        Key::EgressServerName,
        Key::EgressCapture,
        Key::TargetsAllowed,
        Key::Profile,
        Key::Spiffe,
        Key::SpiffeHint,
    ];
    for key in Key::ALL.iter().filter(|key| !excluded.contains(key)) {
        let assignment = format!("{} = ", key.name());
        assert!(
            text.lines().any(|line| line.starts_with(&assignment)),
            "{key:?} is not in the file"
        );
        let mut printed = changed
            .lines()
            .filter(|line| line.trim().starts_with(&assignment))
            .peekable();
        assert!(printed.peek().is_some(), "{key:?} is not printed");
        assert!(
            printed.all(|line| !default.contains(&line)),
            "{key:?} has no effect"
        );
    }
}

#[test]
fn the_full_example_names_every_key_with_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/full.toml");
    let full = fs::read_to_string(&path).unwrap();
    for key in Key::ALL {
        let assignment = format!("{} = ", key.name());
        let uncommented = full.lines().map(|line| line.trim().trim_start_matches('#'));
        let found = uncommented
            .filter(|line| line.starts_with(&assignment))
            .count();
        let namesakes = Key::ALL.iter().filter(|other| other.name() == key.name());
        assert_eq!(found, namesakes.count(), "{}", key.path());
    }
    let minimal = parse(&path.with_file_name("minimal.toml")).unwrap();
    assert_eq!(parse(&path).unwrap().to_string(), minimal.to_string());
}
