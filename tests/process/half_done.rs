//! Commands that write keys, on a full disk and ended by a signal: all of a set is there, or nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const PROGRAM: &str = env!("CARGO_BIN_EXE_hybridge");

/// Each with the files of its set.
const SETS: [(&[&str], &[&str]); 4] = [
    (
        &["keys", "seal", "--out"],
        &["identity.txt", "recipient.txt"],
    ),
    (
        &["keys", "sign", "--out"],
        &["ec.key", "ec.pub", "mldsa.key", "mldsa.pub"],
    ),
    (
        &["certs", "--dir"],
        &["ca.crt", "ca.key", "tls.crt", "tls.key"],
    ),
    (
        &["inject", "certs", "--dir"],
        &["ca-bundle.yaml", "secret.yaml"],
    ),
];

/// What is in a directory, hidden names included; nothing if it is not there.
fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let entries = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

/// With files of at most so many blocks; more is an error of the write, as on a full disk.
fn limited(blocks: u32, words: &[&str], directory: &Path) -> Output {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh", PROGRAM]).args(words);
    command.arg(directory).env_clear().output().unwrap()
}

#[test]
fn a_full_disk_leaves_nothing_in_the_way_of_the_next_run() {
    for (words, files) in SETS {
        let room = tempfile::tempdir().unwrap();
        let directory = room.path().join("out");
        for blocks in [0, 1] {
            let output = limited(blocks, words, &directory);
            let said = String::from_utf8(output.stderr).unwrap();
            if output.status.success() {
                // Every file of the set is small enough.
                assert_eq!(blocks, 1, "{words:?}");
                assert_eq!(names(&directory), files, "{words:?}");
                fs::remove_dir_all(&directory).unwrap();
                continue;
            }
            assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
            assert!(
                said.contains("cannot write ") && said.contains("large"),
                "{said}"
            );
            assert_eq!(
                names(&directory),
                [""; 0],
                "{words:?} with {blocks}: {said}"
            );
        }
        let whole = Command::new(PROGRAM).args(words).arg(&directory).output();
        let whole = whole.unwrap();
        let said = String::from_utf8(whole.stderr).unwrap();
        assert!(whole.status.success(), "{words:?}: {said}");
        assert_eq!(names(&directory), files, "{words:?}");
    }
}

/// At moments spread over the run.
#[test]
fn a_signal_leaves_a_whole_set_or_nothing() {
    for (words, files) in SETS {
        let room = tempfile::tempdir().unwrap();
        let run = |directory: &PathBuf| {
            let mut command = Command::new(PROGRAM);
            command.args(words).arg(directory).env_clear();
            command.stdout(Stdio::null()).stderr(Stdio::piped());
            command.spawn().unwrap()
        };
        let begin = Instant::now();
        run(&room.path().join("whole")).wait_with_output().unwrap();
        let whole = begin.elapsed().max(Duration::from_millis(5));
        for number in 0..24_u32 {
            let directory = room.path().join(number.to_string());
            let child = run(&directory);
            thread::sleep(whole.mul_f64(f64::from(number) / 20.0));
            let signal = if number % 2 == 0 {
                Signal::TERM
            } else {
                Signal::INT
            };
            // Gone already is right too.
            let _ = kill_process(Pid::from_child(&child), signal);
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let found = names(&directory);
            assert!(
                found.is_empty() || found == files,
                "{words:?}, {number}: {found:?} {said}"
            );
        }
    }
}

#[test]
fn ticket_keys_are_whole_after_a_signal() {
    let room = tempfile::tempdir().unwrap();
    let file = room.path().join("tickets");
    let run = |words: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.arg("ticket-keys").args(words).arg(&file);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    assert!(run(&["new"]).wait().unwrap().success());
    for number in 0..24 {
        let mut child = run(&["rotate"]);
        thread::sleep(Duration::from_micros(500 * number));
        let _ = kill_process(Pid::from_child(&child), Signal::TERM);
        child.wait().unwrap();
        assert_eq!(names(room.path()), ["tickets"], "{number}");
        assert!(fs::read_to_string(&file).unwrap().contains("\nactive "));
    }
}
