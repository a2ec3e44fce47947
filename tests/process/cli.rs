//! The binary as a user meets it: help, exit codes, where output goes.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use clap::CommandFactory;
use hybridge::cli::Cli;

/// Runs the binary with nothing in its environment but what is given.
fn hybridge(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hybridge"))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// To accept a change: HYBRIDGE_BLESS=1 cargo test --test process cli
#[test]
fn the_help_of_every_command_is_as_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    let mut root = Cli::command().term_width(100);
    root.build();
    let mut pages = vec![("hybridge".to_owned(), root.clone())];
    for command in root
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
    {
        pages.push((command.get_name().to_owned(), command.clone()));
    }
    for (name, mut command) in pages {
        let path = folder.join(format!("{name}.txt"));
        let help = command.render_help().to_string();
        if std::env::var_os("HYBRIDGE_BLESS").is_some() {
            std::fs::write(&path, &help).unwrap();
        }
        let recorded = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(help, recorded, "{}", path.display());
    }
}

#[test]
fn help_and_version_are_answers_and_exit_0() {
    for (argument, expected) in [
        ("--help", "Usage: hybridge"),
        ("--version", env!("CARGO_PKG_VERSION")),
    ] {
        let output = hybridge(&[argument], &[]);
        assert_eq!(output.status.code(), Some(0), "{argument}");
        assert!(text(&output.stdout).contains(expected), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn a_wrong_command_line_exits_64_and_says_so_on_standard_error() {
    for (arguments, expected) in [
        (&[][..], "Usage: hybridge"),
        (&["rum"], "unrecognized subcommand 'rum'"),
        (&["check", "--polcy", "x"], "unexpected argument '--polcy'"),
        (
            &["check", "--stream-metrics", "true"],
            "write --stream-metrics=true",
        ),
        (&["scan", "--doctor", "true"], "write --doctor"),
        (
            &["ctl", "check"],
            "write `hybridge check` or `hybridge inject check`",
        ),
        (&["inject", "chek"], "did you mean `hybridge inject check`?"),
        (
            &["check", "--tls-cert", "x"],
            "a similar argument exists: '--cert'",
        ),
        (
            &["check", "--policy", "a", "--policy", "b"],
            "cannot be used multiple times",
        ),
        (
            &["demo", "--listen", "nowhere"],
            "invalid value 'nowhere' for '--listen <ADDR>'",
        ),
        (
            &["demo", "--admin", "localhost:9443"],
            "write 127.0.0.1:9443",
        ),
        (
            &["inject", "serve", "--listen", "9443"],
            "write 0.0.0.0:9443",
        ),
    ] {
        let output = hybridge(arguments, &[]);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(text(&output.stderr).contains(expected), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
}

#[test]
fn a_wrong_configuration_exits_64_with_one_line() {
    let file = "tests/config/invalid/unknown-key.toml";
    let output = hybridge(&["check", "--config", file], &[]);
    assert_eq!(output.status.code(), Some(64));
    let expected =
        format!("hybridge: {file}:7: listener.tls.polcy: unknown key: did you mean `policy`?\n");
    assert_eq!(text(&output.stderr), expected);
    assert!(output.stdout.is_empty(), "{output:?}");
}

#[test]
fn the_environment_of_the_process_is_read() {
    let variables = [("HYBRIDGE_POLCY", "hybrid-required")];
    let output = hybridge(&["check", "--config", "config/minimal.toml"], &variables);
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(
        text(&output.stderr),
        "hybridge: HYBRIDGE_POLCY: unknown environment variable: did you mean HYBRIDGE_POLICY?\n"
    );
}

#[test]
fn every_setting_of_run_is_one_of_check() {
    let command = Cli::command();
    let flags = |name| {
        let command = command.find_subcommand(name).unwrap();
        let ids = command
            .get_arguments()
            .map(|argument| argument.get_id().to_string());
        ids.collect::<Vec<_>>()
    };
    assert!(flags("run").len() > 30, "{:?}", flags("run"));
    // How it writes what it finds is its own.
    let of_check: Vec<_> = flags("check")
        .into_iter()
        .filter(|flag| flag != "format")
        .collect();
    assert_eq!(flags("run"), of_check);
}

#[test]
fn certs_writes_a_pair_once_and_the_second_time_exits_1() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["certs", "--dir", folder.path().to_str().unwrap()];
    let first = hybridge(&arguments, &[]);
    assert_eq!(first.status.code(), Some(0), "{first:?}");
    assert!(text(&first.stdout).contains("tls.crt"), "{first:?}");
    assert!(folder.path().join("tls.key").is_file());
    let second = hybridge(&arguments, &[]);
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    assert!(text(&second.stderr).contains("--force"), "{second:?}");
}

#[test]
fn a_file_may_be_named_without_its_flag() {
    for (with, without) in [
        (
            &["check", "--config", "config/minimal.toml"][..],
            &["check", "config/minimal.toml"][..],
        ),
        (
            &["inject", "-f", "tests/inject/pods/vllm.yaml"],
            &["inject", "tests/inject/pods/vllm.yaml"],
        ),
    ] {
        let (with, without) = (hybridge(with, &[]), hybridge(without, &[]));
        assert_eq!(with, without);
    }
    let injected = hybridge(&["inject", "tests/inject/pods/vllm.yaml"], &[]);
    assert_eq!(injected.status.code(), Some(0), "{injected:?}");
    assert!(text(&injected.stdout).contains("name: hybridge"));
    let twice = hybridge(&["check", "a.toml", "--config", "b.toml"], &[]);
    assert!(
        text(&twice.stderr).contains("cannot be used with"),
        "{twice:?}"
    );
}

/// As under `| head`: a reader that had enough is nothing to report. 141 is what a shell says of a
/// tool that SIGPIPE ended.
#[test]
fn a_reader_that_goes_away_is_no_error_message() {
    for arguments in [
        &["--help"][..],
        &["run", "--help"],
        &["inject", "tests/inject/pods/vllm.yaml"],
        &["inject", "certs"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_hybridge"))
            .args(arguments)
            .env_clear()
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdout(writer)
            .output()
            .unwrap();
        let said = text(&output.stderr);
        assert!(!said.contains("Broken pipe"), "{said}");
        assert_eq!(output.status.code(), Some(141), "{arguments:?} {output:?}");
    }
}

#[test]
fn the_version_names_the_libraries_of_the_cryptography() {
    let output = Command::new(env!("CARGO_BIN_EXE_hybridge"))
        .arg("--version")
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], concat!("hybridge ", env!("CARGO_PKG_VERSION")));
    let libraries = lines.last().unwrap();
    assert!(
        libraries.starts_with("rustls 0.") && libraries.contains(", aws-lc-rs 1."),
        "{said}"
    );
}

/// As `inject check` and kubectl's readers of a pipe.
#[test]
fn inject_reads_a_pipe_without_being_told() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hybridge"))
        .arg("inject")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pod = "kind: Pod\napiVersion: v1\nmetadata: {name: a}\nspec: {containers: [{name: vllm, image: \"vllm/vllm-openai:v0.11.0\", args: [--host, 0.0.0.0], ports: [{containerPort: 8000}]}]}\n";
    child
        .stdin
        .take()
        .unwrap()
        .write_all(pod.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && said.contains("- name: hybridge\n"),
        "{said}"
    );
}
