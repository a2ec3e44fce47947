//! How the program ends: by a signal before anything is measured, by a reader that goes, by a question that is wrong.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStringExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::support::fixture;
use crate::support::program::{BIN, Place, assert_told, tool};
use hybridge_loadtest::results::file;

pub(crate) fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

pub(crate) fn code_of(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it does not stop");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_signal_ends_the_wait_for_the_start() {
    let place = Place::new().await;
    let plan = place.plan(2);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let start = (now.as_secs() + 3000).to_string();
    for by in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let mut child = Command::new(BIN)
            .args(["run", &plan, "--start-at", &start])
            .current_dir(place.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("for --start-at") {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "it does not wait");
        }
        let seconds: u64 = line.split(' ').nth(1).unwrap().parse().unwrap();
        assert!((2900..=3000).contains(&seconds), "{line}");
        signal(&child, by);
        assert_eq!(code_of(&mut child), Some(130));
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        assert!(
            rest.contains("interrupted before the first block"),
            "{rest}"
        );
    }
}

/// A target that accepts and never says a word keeps a handshake for ten seconds.
#[tokio::test(flavor = "multi_thread")]
async fn one_signal_ends_a_handshake_that_nobody_answers() {
    let place = Place::new().await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let mut child = Command::new(BIN)
        .args(["compare", "--hybrid", &url, "--ca", "ca.crt"])
        .current_dir(place.folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (_held, _) = tokio::task::spawn_blocking(move || silent.accept().unwrap())
        .await
        .unwrap();
    let begun = Instant::now();
    signal(&child, rustix::process::Signal::INT);
    assert_eq!(code_of(&mut child), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_start_more_than_a_day_ahead_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = tool(folder.path(), &["compare", "--start-at", "1800000000000"]);
    assert_told(
        &output,
        64,
        &["--start-at 1800000000000", "more than a day"],
    );
}

#[test]
fn a_reader_that_has_gone_is_no_error_to_report() {
    let folder = tempfile::tempdir().unwrap();
    file::save(&folder.path().join("results.json"), &fixture::results()).unwrap();
    let gone = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    let run = |arguments: &[&str]| {
        let mut command = Command::new(BIN);
        command.args(arguments).current_dir(folder.path());
        command.stdout(gone()).output().unwrap()
    };
    for arguments in [&["capacity", "results.json"][..], &["--help"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(141), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
    // The verdict holds for every reader.
    let output = run(&[
        "report",
        "results.json",
        "results.json",
        "--fail-if",
        "full-handshake.cpu > 10%",
    ]);
    assert_told(&output, 3, &["is met"]);
    assert!(folder.path().join("comparison.md").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_argument_that_is_no_utf_8_does_not_lose_the_runs() {
    let place = Place::new().await;
    let plan = place.plan(2);
    let odd = std::ffi::OsString::from_vec(b"out-\xff".to_vec());
    for (command, kept) in [("run", "results.json"), ("check", "check.md")] {
        let mut program = Command::new(BIN);
        program.args([command, &plan, "--scenario", "full-handshake", "--quiet"]);
        if command == "check" {
            program.args(["--runs", "1", "--at-most", "100"]);
        }
        program.arg("--out").arg(&odd);
        let output = program.current_dir(place.folder.path()).output().unwrap();
        assert_told(&output, 0, &[]);
        assert!(place.folder.path().join(&odd).join(kept).exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_prints_before_it_writes() {
    let place = Place::new().await;
    let plan = place.plan(2);
    std::fs::create_dir(place.path("out")).unwrap();
    std::os::unix::fs::symlink("/dev/full", place.path("out/check.md.part")).unwrap();
    let arguments = ["check", &plan, "--runs", "1", "--out", "out"];
    let output = tool(place.folder.path(), &arguments);
    assert_told(&output, 1, &["check.md", "No space left"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("in 1 run of one server"), "{text}");
}

#[test]
fn flags_that_check_has_no_use_for_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for flag in [
        &["--shard", "2/4"][..],
        &["--start-at", "1"],
        &["--note", "nginx=1"],
        &["--unsafe-check-signatures-every", "16"],
    ] {
        let mut arguments = vec!["check"];
        arguments.extend(flag);
        let output = tool(folder.path(), &arguments);
        assert_told(&output, 64, &[flag[0], "no use to `check`"]);
    }
    for share in ["nan", "-1", "101", "inf", "1e999"] {
        let output = tool(folder.path(), &["check", &format!("--at-most={share}")]);
        assert_told(&output, 64, &["--at-most", "from 0 to 100"]);
    }
}

#[test]
fn overrides_that_could_not_hold_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = tool(
        folder.path(),
        &["run", "scale-peers", "--connections", "64"],
    );
    assert_told(&output, 64, &["--connections", "of each target"]);
    let arguments = [
        "compare",
        "--hybrid",
        "https://127.0.0.1:1",
        "--hybridge",
        "x",
    ];
    let output = tool(folder.path(), &arguments);
    assert_told(&output, 64, &["--hybridge x", "run already"]);
    let output = Command::new(BIN)
        .args(["compare", "--shard", "job/4"])
        .env("JOB_COMPLETION_INDEX", "4294967295")
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_told(&output, 64, &["--shard", "job/4"]);
}

/// The flag at fault is the one that is named, and a note that would be empty or lost is refused.
#[test]
fn rates_and_notes_that_say_nothing_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |flags: &[&str], words: &[&str]| {
        let arguments = [&["compare"][..], flags].concat();
        let output = tool(folder.path(), &arguments);
        assert_told(&output, 64, words);
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = refused(&["--rate", "0"], &["--rate must be 0.001 to"]);
    assert!(!said.contains("--connections"), "{said}");
    refused(&["--connections", "0"], &["--connections: must be 1 to"]);
    for empty in ["x", "x=", "=x", ""] {
        refused(&["--note", empty], &["--note \"", "write NAME=TEXT"]);
    }
    refused(
        &["--note", "a=b", "--note", "a=c"],
        &["--note \"a=c\"", "already"],
    );
    refused(&["--note", "client=mine"], &["use another"]);
}

#[test]
fn a_rate_of_which_no_block_has_an_operation_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["compare", "check"] {
        let output = tool(
            folder.path(),
            &[command, "--rate", "0.5", "--scenario", "full-handshake"],
        );
        assert_told(&output, 64, &["not one operation", "at least 2000 ms"]);
    }
    let arguments = ["run", "scale", "--shard", "1/90000"];
    assert_told(
        &tool(folder.path(), &arguments),
        64,
        &["for each of 90000 shards"],
    );
}

/// Both loads of an open case run, and sizes that become the same make one case.
#[tokio::test(flavor = "multi_thread")]
async fn cases_that_overrides_make_are_told_apart() {
    let place = Place::new().await;
    let output = place.compare(&["--rate", "100", "--connections", "2,3", "--out", "out"]);
    // The flags of `compare` above name one connection; the later ones are added to it.
    assert_told(&output, 0, &[]);
    let results = file::load(&place.folder.path().join("out")).unwrap();
    let titles: Vec<_> = results.cases.iter().map(|case| case.case.title()).collect();
    assert_eq!(
        titles,
        [
            "Full handshake, 100 per second",
            "Full handshake, 100 per second, 2 connections",
            "Full handshake, 100 per second, 3 connections",
        ]
    );
}

/// A shard that begins late is measured all the same; that it did not wait is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_has_passed_is_said() {
    let place = Place::new().await;
    let plan = place.plan(2);
    let arguments = ["run", &plan, "--start-at", "5", "--out", "out"];
    let output = tool(place.folder.path(), &arguments);
    assert_told(&output, 0, &["--start-at 5 has passed: beginning at once"]);
}
