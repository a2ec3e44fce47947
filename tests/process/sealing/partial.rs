//! What is not whole yet: for its owner only, removed when a signal ends the command, and never something
//! that somebody else put there.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Child, ChildStdin};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::Stage;

/// `open` of a pipe that has given half of a file and waits for the rest.
fn half(stage: &Stage) -> (Child, ChildStdin) {
    stage.write("plain", &vec![7; 2_000_000]);
    stage.ok("seal plain plain.age --recipient id/recipient.txt");
    let sealed = stage.read("plain.age");
    let mut child = stage
        .command("open - out -i id/identity.txt --unsafe-unsigned")
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&sealed[..sealed.len() / 2]).unwrap();
    let end = Instant::now() + Duration::from_mins(1);
    let written = || fs::metadata(stage.path(".partial-out")).map_or(0, |file| file.len());
    while written() == 0 {
        assert!(Instant::now() < end, "nothing is written");
        thread::sleep(Duration::from_millis(5));
    }
    (child, stdin)
}

/// The exit code. Where this process was told to ignore a signal, as `nohup` does, so was the child.
fn ended(child: &mut Child) -> Option<i32> {
    let end = Instant::now() + Duration::from_mins(1);
    while Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    panic!("no signal ended it: are the tests run under nohup?");
}

fn mode(stage: &Stage, name: &str) -> u32 {
    let metadata = fs::metadata(stage.path(name)).unwrap();
    metadata.permissions().mode() & 0o777
}

#[test]
fn a_signal_that_ends_a_command_leaves_nothing() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let stage = Stage::new();
        let (mut child, _stdin) = half(&stage);
        assert_eq!(mode(&stage, ".partial-out"), 0o600);
        let pid = Pid::from_child(&child);
        kill_process(pid, signal).unwrap();
        assert_eq!(ended(&mut child), Some(code));
        assert!(!stage.exists(".partial-out") && !stage.exists("out"));
    }
}

/// A directory, at any moment.
#[test]
fn a_signal_at_any_moment_leaves_nothing() {
    let stage = Stage::new();
    for number in 0..6 {
        stage.write(&format!("model/part-{number}"), &vec![number; 700_000]);
    }
    stage.ok("seal model sealed -r id/recipient.txt --sign-with sign");
    fs::create_dir(stage.path("volume")).unwrap();
    for (open, partial, out) in [
        (
            "open sealed out -i id/identity.txt --verify-with sign",
            ".partial-out",
            "out",
        ),
        (
            "open sealed volume --replace -i id/identity.txt --verify-with sign",
            "volume/.partial-model",
            "volume/config.json",
        ),
    ] {
        let begin = Instant::now();
        stage.ok(open);
        let whole = begin.elapsed();
        let mut cut = 0;
        for at in 0..40_u32 {
            let _ = fs::remove_dir_all(stage.path("out"));
            let mut child = stage.command(open).spawn().unwrap();
            thread::sleep(whole.mul_f64(f64::from(at) / 40.0));
            kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
            let code = child.wait().unwrap().code();
            // Before the handlers are there, the signal itself ends it.
            assert!([None, Some(0), Some(143)].contains(&code), "{code:?}");
            assert!(!stage.exists(partial), "at {at} of 40");
            if code == Some(143) {
                cut += 1;
            }
            if out == "out" {
                // A signal may come when the name is there and the process is not gone yet.
                assert!(code != Some(0) || stage.exists(out));
                for number in (0..6).filter(|_| stage.exists(out)) {
                    let opened = fs::read(stage.path(&format!("out/part-{number}"))).unwrap();
                    assert!(opened == vec![number; 700_000], "part {number}");
                }
            }
        }
        assert!(cut > 5, "only {cut} runs were ended while they worked");
    }
}

#[test]
fn what_is_whole_has_the_mode_of_any_new_file() {
    let stage = Stage::new();
    stage.ok("seal model sealed -r id/recipient.txt --sign-with sign");
    stage.ok("open sealed out -i id/identity.txt --verify-with sign");
    fs::write(stage.path("any"), b"").unwrap();
    fs::create_dir(stage.path("anywhere")).unwrap();
    assert_eq!(mode(&stage, "out"), mode(&stage, "anywhere"));
    assert_eq!(mode(&stage, "out/config.json"), mode(&stage, "any"));
    assert_eq!(mode(&stage, "out/weights"), mode(&stage, "anywhere"));
    stage.ok("open sealed/config.json.age c -i id/identity.txt --unsafe-unsigned");
    assert_eq!(mode(&stage, "c"), mode(&stage, "any"));
}

#[test]
fn a_partial_name_that_is_taken_is_refused() {
    let stage = Stage::new();
    stage.ok("seal model sealed -r id/recipient.txt");
    let one = "open sealed/config.json.age one -i id/identity.txt --unsafe-unsigned";
    let all = "open sealed all -i id/identity.txt --unsafe-unsigned";
    let refused = |line: &str, says: &str| {
        let ran = stage.run(line);
        assert!(
            ran.code == 1 && ran.err.contains(says) && ran.err.contains(": remove it"),
            "{says}: {}",
            ran.err
        );
    };
    stage.write("victim", b"kept");
    fs::create_dir(stage.path("victims")).unwrap();
    symlink("victim", stage.path(".partial-one")).unwrap();
    symlink("victims", stage.path(".partial-all")).unwrap();
    refused(one, ".partial-one: a symbolic link");
    refused(all, ".partial-all: a symbolic link");
    for name in [".partial-one", ".partial-all"] {
        fs::remove_file(stage.path(name)).unwrap();
    }
    fs::hard_link(stage.path("victim"), stage.path(".partial-one")).unwrap();
    refused(one, ".partial-one: a file with another name");
    fs::remove_file(stage.path(".partial-one")).unwrap();
    fs::create_dir(stage.path(".partial-one")).unwrap();
    stage.write(".partial-all", b"");
    refused(one, ".partial-one: not a file");
    refused(all, ".partial-all: not a directory");
    fs::remove_dir(stage.path(".partial-one")).unwrap();
    fs::remove_file(stage.path(".partial-all")).unwrap();
    assert_eq!(stage.read("victim"), b"kept");
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root can give a file to somebody else");
        return;
    }
    stage.write(".partial-one", b"");
    fs::create_dir(stage.path(".partial-all")).unwrap();
    for name in [".partial-one", ".partial-all"] {
        std::os::unix::fs::chown(stage.path(name), Some(12345), None).unwrap();
    }
    refused(one, ".partial-one: of another owner (12345)");
    refused(all, ".partial-all: of another owner (12345)");
}

/// The name under which a directory that is there is filled. None of the other files gets its name.
#[test]
fn a_file_of_the_partial_name_is_refused_with_all_others() {
    let stage = Stage::new();
    stage.write("model/.partial-model", b"a file of the model");
    stage.ok("seal model sealed -r id/recipient.txt --sign-with sign");
    fs::create_dir(stage.path("there")).unwrap();
    let open = |to: &str| format!("open sealed {to} -i id/identity.txt --verify-with sign");
    let ran = stage.run(&open("there"));
    assert!(
        ran.code == 1 && ran.err.contains(".partial-model: this name is taken"),
        "{}",
        ran.err
    );
    assert_eq!(fs::read_dir(stage.path("there")).unwrap().count(), 0);
    stage.ok(&open("new"));
    assert_eq!(stage.read("new/.partial-model"), b"a file of the model");
}
