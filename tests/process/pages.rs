//! Completions and man pages say what `--help` says.

use std::process::{Command, Output};

use clap::{Command as Clap, CommandFactory};
use hybridge::cli::Cli;

fn hybridge(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hybridge"))
        .args(arguments)
        .output()
        .unwrap()
}

/// Every command with its name in full, such as `hybridge-inject-serve`.
fn commands(command: &Clap, name: &str, found: &mut Vec<(String, Clap)>) {
    found.push((name.to_owned(), command.clone()));
    for subcommand in command.get_subcommands() {
        if subcommand.get_name() != "help" {
            let name = format!("{name}-{}", subcommand.get_name());
            commands(subcommand, &name, found);
        }
    }
}

fn all() -> Vec<(String, Clap)> {
    let mut root = Cli::command();
    root.build();
    let mut found = Vec::new();
    commands(&root, "hybridge", &mut found);
    found
}

fn flags(command: &Clap) -> impl Iterator<Item = &str> {
    let visible = command.get_arguments().filter(|flag| !flag.is_hide_set());
    visible.filter_map(clap::Arg::get_long)
}

#[test]
fn every_command_has_a_man_page_with_every_flag() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("man1");
    let output = hybridge(&["man", folder.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let commands = all();
    for (name, command) in &commands {
        let page = std::fs::read_to_string(folder.join(format!("{name}.1"))).unwrap();
        for flag in flags(command) {
            // roff writes a hyphen as `\-`.
            let written = format!("\\-\\-{}", flag.replace('-', "\\-"));
            assert!(page.contains(&written), "{name} --{flag}");
        }
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), commands.len());
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let output = hybridge(&["man", "/dev/null/pages"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("cannot write the man pages to /dev/null/pages"),
        "{said}"
    );
}

#[test]
fn every_shell_completes_every_command_and_flag() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = hybridge(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let script = String::from_utf8(output.stdout).unwrap();
        for (name, command) in all() {
            let word = name
                .rsplit_once("hybridge-")
                .map_or("hybridge", |(_, word)| word);
            assert!(
                script.contains(word.split('-').next().unwrap()),
                "{shell}: {name}"
            );
            for flag in flags(&command) {
                assert!(script.contains(flag), "{shell}: {name} --{flag}");
            }
        }
    }
}

#[test]
fn bash_reads_its_completions() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hybridge");
    std::fs::write(&file, hybridge(&["completions", "bash"]).stdout).unwrap();
    let completed = "source \"$0\"; COMP_WORDS=(hybridge pro); COMP_CWORD=1; \
                     _hybridge hybridge pro hybridge; echo \"${COMPREPLY[@]}\"";
    let output = Command::new("bash")
        .args(["-c", completed])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap().trim(),
        "probe",
        "{:?}",
        output.stderr
    );
}
