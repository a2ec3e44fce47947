//! What people build on, each in a golden file of its own: settings and exit codes. Metrics are in
//! `metrics.golden`, log fields in `log.golden`, commands and flags in `tests/cli`.
//!
//! To accept a change: HYBRIDGE_BLESS=1 cargo test --test process contract

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use hybridge::config::{DefaultValue, Key};

/// Compares with a golden file of this folder, or writes it.
pub(crate) fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/process")
        .join(name);
    if std::env::var_os("HYBRIDGE_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, recorded, "{}", path.display());
}

/// Place in the file, flag, variable, what it looks like, and what holds without it.
#[test]
fn every_setting_is_as_recorded() {
    let mut text = String::new();
    for key in Key::ALL {
        let default = match key.default() {
            DefaultValue::Fixed(value) => format!("\"{value}\""),
            DefaultValue::Derived(how) => format!("({how})"),
            DefaultValue::Required => "required".to_owned(),
        };
        let (path, flag, variable) = (key.path(), key.flag(), key.variable());
        let value_type = key.value_type();
        writeln!(
            text,
            "{path}\n  --{flag} {variable}\n  {value_type}\n  {default}"
        )
        .unwrap();
    }
    golden("settings.golden", &text);
}

/// Files that the commands below find where they run.
fn prepare(folder: &Path) {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    let made = run(folder, "certs --dir . --name localhost");
    assert_eq!(made, Some(0));
    let listener =
        "[[listener]]\nlisten = \"127.0.0.1:0\"\nupstream = \"127.0.0.1:9\"\n[listener.tls]\n";
    let files = "cert = \"tls.crt\"\nkey = \"tls.key\"\n";
    write("good.toml", &format!("{listener}{files}"));
    write(
        "unknown-key.toml",
        &format!("{listener}{files}polcy = \"x\"\n"),
    );
    write(
        "no-file.toml",
        &format!("{listener}cert = \"gone.crt\"\nkey = \"tls.key\"\n"),
    );
    write("damaged.age", "age-encryption.org/v1\n");
    write("identity.txt", "no identity\n");
    write("empty.txt", "");
}

/// The exit code of a command line, words apart by spaces.
fn run(folder: &Path, arguments: &str) -> Option<i32> {
    let status = Command::new(env!("CARGO_BIN_EXE_hybridge"))
        .args(arguments.split(' '))
        .env_clear()
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.unwrap().code()
}

/// Each kind of end of each command that needs no peer. What peers decide is tested where they are: exit
/// code 2 of `probe` in `inventory.rs`, of a drain in `drain.rs`.
const COMMANDS: [&str; 30] = [
    "--version",
    "--help",
    "--no-such-flag",
    "no-such-command",
    "run",
    "run gone.toml",
    "run unknown-key.toml",
    "run no-file.toml",
    "run good.toml --admin 127.0.0.1:0 --listen 192.0.2.1:1",
    "check good.toml",
    "check unknown-key.toml",
    "check no-file.toml",
    "check good.toml --profile cnsa-2.0",
    "check good.toml --profile no-such-profile",
    "certs --dir . --name localhost",
    "ctl ready --admin 127.0.0.1:9",
    "ctl no-such-command",
    "probe https://127.0.0.1:9/",
    "probe not-a-url",
    "scan 127.0.0.1:9",
    "scan 127.0.0.1:9 --allow-unreachable",
    "scan --targets gone.txt",
    "scan --targets empty.txt --require hybrid",
    "scan",
    "open --identity identity.txt damaged.age out",
    "verify . --public-key gone.pem",
    "inspect gone.age",
    "ticket-keys new .",
    "inject gone.yaml",
    "completions no-such-shell",
];

#[test]
fn every_exit_code_is_as_recorded() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let mut text = String::new();
    for command in COMMANDS {
        let code = run(folder.path(), command).map_or("signal".to_owned(), |code| code.to_string());
        writeln!(text, "{code:>2}  hybridge {command}").unwrap();
    }
    golden("exit-codes.golden", &text);
}
