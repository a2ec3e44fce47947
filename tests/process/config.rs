//! What operators write, and what they are told: files good and bad, flags, environment, documentation.

mod documentation;
mod ports;

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

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file_and_that_over_the_default() {
    let file = file(&format!("{LISTENER}timeouts.head-timeout = '11s'\n"));
    let path = file.path().to_str().unwrap();
    let head = |arguments: &[&str], variables: &[(&str, &str)]| {
        let config = config(&[&["--config", path], arguments].concat(), variables);
        config.listeners[0].proxy.head_timeout.as_secs()
    };
    assert_eq!(
        head(
            &["--head-timeout", "33s"],
            &[("HYBRIDGE_HEAD_TIMEOUT", "22s")]
        ),
        33
    );
    assert_eq!(head(&[], &[("HYBRIDGE_HEAD_TIMEOUT", "22s")]), 22);
    assert_eq!(head(&[], &[("HYBRIDGE_HEAD_TIMEOUT", "")]), 11);
    assert_eq!(
        config(&WHOLE, &[]).listeners[0]
            .proxy
            .head_timeout
            .as_secs(),
        30
    );
}

#[test]
fn the_environment_alone_describes_a_listener() {
    let config = config(
        &[],
        &[
            ("HYBRIDGE_LISTEN", "10.1.2.3,fd00::3:8000"),
            ("HYBRIDGE_UPSTREAM", "10.0.0.9:8000"),
            ("HYBRIDGE_UNSAFE_REMOTE_UPSTREAM", "true"),
            ("HYBRIDGE_CERT", "tls.crt"),
            ("HYBRIDGE_KEY", "tls.key"),
            ("HYBRIDGE_PROBES", "{}"),
        ],
    );
    let [listener] = config.listeners.as_slice() else {
        panic!("{config}")
    };
    assert_eq!(listener.socket.addresses[1].to_string(), "[fd00::3]:8000");
    assert_eq!(config.probes.as_deref(), Some("{}"));
}

#[test]
fn the_file_is_found_through_the_environment_too() {
    let file = file(LISTENER);
    let path = file.path().to_str().unwrap();
    let config = config(&[], &[("HYBRIDGE_CONFIG", path)]);
    assert_eq!(config.listeners.len(), 1);
}

#[test]
fn lists_are_repeated_flags_or_commas() {
    let groups = |arguments: &[&'static str]| {
        let config = config(&whole(arguments), &[]);
        let groups = config.listeners[0].tls.policy.groups().iter();
        groups.map(ToString::to_string).collect::<Vec<_>>()
    };
    let expected = ["X25519MLKEM768", "X25519"];
    assert_eq!(groups(&["--groups", "X25519MLKEM768,X25519"]), expected);
    assert_eq!(
        groups(&["--groups", "X25519MLKEM768", "--groups", "X25519"]),
        expected
    );
}

#[test]
fn errors_name_the_flag_or_the_variable() {
    for (arguments, variables, expected) in [
        (
            whole(&["--head-timeout", "soon"]),
            vec![],
            "--head-timeout: `soon` is not a duration above zero up to \"720h\", such as \"250ms\", \"5s\", \"2m\" or \"1h\"",
        ),
        (
            whole(&[]),
            vec![("HYBRIDGE_MAX_CONNECTIONS", "0")],
            "HYBRIDGE_MAX_CONNECTIONS: `0` is not a whole number from 1 to 1000000",
        ),
        (
            whole(&["--protocol=http2"]),
            vec![],
            "--protocol: `http2` is not one of http, tcp, tunnel: did you mean `http`?",
        ),
        (
            whole(&["--policy", "hybrid-required", "--groups", "X25519"]),
            vec![],
            "--groups: listener `default`: groups: `X25519` is classical and contradicts policy `hybrid-required`: remove it or change the policy",
        ),
        (
            vec![],
            vec![],
            "--listen: missing: say where to accept TLS, for example 0.0.0.0:8443",
        ),
        (
            vec!["--listen", ":8443", "--upstream", "127.0.0.1:8000"],
            vec![],
            "--cert: missing: name the PEM file with the certificate chain; `hybridge certs` makes a pair to try with",
        ),
        (
            whole(&[]),
            vec![("HYBRIDGE_POLCY", "hybrid-required")],
            "HYBRIDGE_POLCY: unknown environment variable: did you mean HYBRIDGE_POLICY?",
        ),
        (
            whole(&["--config", "/nowhere/hybridge.toml"]),
            vec![],
            "/nowhere/hybridge.toml: cannot be read: No such file or directory (os error 2)",
        ),
        (
            whole(&["--config", "/dev/zero"]),
            vec![],
            "/dev/zero: larger than 1MiB: this is not a configuration",
        ),
        (
            whole(&["--unsafe-remote-upstream=perhaps"]),
            vec![],
            "--unsafe-remote-upstream: `perhaps` is not true or false",
        ),
    ] {
        let error = load(&arguments, &variables).unwrap_err();
        assert_eq!(error, expected);
    }
}

#[test]
fn an_unknown_variable_far_from_every_name_is_a_warning() {
    let loaded = load(&WHOLE, &[("HYBRIDGE_COLOUR", "red")]).unwrap();
    let expected = "HYBRIDGE_COLOUR: unknown environment variable, ignored";
    assert_eq!(loaded.warnings, [expected]);
}

#[test]
fn listener_flags_beside_a_file_with_two_listeners_are_refused() {
    let first = LISTENER.replace("listen =", "name = 'a'\nlisten =");
    let second = first.replace("'a'", "'b'").replace("8443", "8444");
    let file = file(&format!("{first}{second}"));
    let path = file.path().to_str().unwrap();
    let error = load(&["--config", path, "--policy", "hybrid-required"], &[]).unwrap_err();
    let expected = format!(
        "--policy: flags and environment describe one listener, but {path} has 2: change it there"
    );
    assert_eq!(error, expected);
    let config = config(&["--config", path, "--workers", "5"], &[]);
    assert_eq!((config.listeners.len(), config.workers), (2, 5));
}

#[test]
fn a_file_without_a_listener_takes_the_one_of_the_flags() {
    let file = file("workers = 4\n");
    let path = file.path().to_str().unwrap();
    let config = config(&[&WHOLE[..], &["--config", path]].concat(), &[]);
    assert_eq!((config.listeners.len(), config.workers), (1, 4));
}

#[test]
fn workers_default_to_what_the_container_may_use() {
    let available = std::thread::available_parallelism().unwrap().get();
    let config = config(&WHOLE, &[]);
    assert_eq!(config.workers, available);
}

#[test]
fn ctl_finds_the_admin_port_of_its_own_pod() {
    let found = |flag, variables: &[(&str, &str)]| {
        hybridge::config::admin_address(flag, &environment(variables))
            .map(|address| address.to_string())
            .map_err(|error| error.to_string())
    };
    let variable = "HYBRIDGE_ADMIN";
    assert_eq!(found(None, &[]).unwrap(), "127.0.0.1:9443");
    assert_eq!(
        found(None, &[(variable, "0.0.0.0:15400")]).unwrap(),
        "127.0.0.1:15400"
    );
    assert_eq!(found(None, &[(variable, ":15400")]).unwrap(), "[::1]:15400");
    assert_eq!(
        found(None, &[(variable, "10.0.0.1:1,127.0.0.1:2")]).unwrap(),
        "127.0.0.1:2"
    );
    assert_eq!(
        found(Some("127.0.0.1:3"), &[(variable, ":15400")]).unwrap(),
        "127.0.0.1:3"
    );
    let error = found(None, &[(variable, "none")]).unwrap_err();
    assert_eq!(error, "HYBRIDGE_ADMIN: there is no admin port to talk to");
}
