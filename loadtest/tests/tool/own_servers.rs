//! The servers the tool starts itself, with the real sidecar: they leave nothing behind, and the tool alone ends them.
//! Skipped where the sidecar has not been built beside the tool.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::endings::code_of;
use hybridge_loadtest::results::file;
use rustix::process::{Pid, Signal, kill_process_group};

const BIN: &str = env!("CARGO_BIN_EXE_hybridge-loadtest");

/// Whether there is a sidecar to start.
fn is_built() -> bool {
    let built = Path::new(BIN).with_file_name("hybridge").is_file();
    if !built {
        eprintln!("skipped: no hybridge beside {BIN}; `cargo build --bin hybridge` makes it");
    }
    built
}

#[test]
fn the_demo_leaves_no_keys_behind() {
    if !is_built() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let scratch = folder.path().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let output = Command::new(BIN)
        .args([
            "compare", "--quick", "--quiet", "--rtt", "0", "--out", "out",
        ])
        .args(["--scenario", "full-handshake,tcp-upload", "--up", "1KiB"])
        .args(["--rounds", "2", "--block", "20ms", "--connections", "1"])
        .current_dir(folder.path())
        .env("TMPDIR", &scratch)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let left: Vec<_> = std::fs::read_dir(&scratch)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    assert!(folder.path().join("out/report.html").exists());
}

/// A terminal signals all processes in front: the tool ends its run after the block, which needs its servers until then.
#[test]
fn signals_of_the_terminal_end_the_run_and_no_server_before_it() {
    if !is_built() {
        return;
    }
    for by in [Signal::INT, Signal::QUIT, Signal::HUP] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(BIN)
            .args([
                "compare", "--quick", "--quiet", "--rtt", "0", "--out", "out",
            ])
            .args(["--scenario", "full-handshake,h1-keepalive"])
            .args(["--rounds", "20", "--block", "50ms", "--connections", "1"])
            .current_dir(folder.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = folder.path().join("out");
        let deadline = Instant::now() + Duration::from_mins(1);
        // Written after the first case.
        while !out.join("results.json").exists() {
            assert!(Instant::now() < deadline, "no case is measured");
            std::thread::sleep(Duration::from_millis(20));
        }
        kill_process_group(Pid::from_raw(child.id().cast_signed()).unwrap(), by).unwrap();
        assert_eq!(code_of(&mut child), Some(130), "{by:?}");
        let results = file::load(&out).unwrap();
        assert!(results.provenance.interrupted, "{by:?}");
        let missing =
            |warning: &&String| warning.contains("missing") || warning.contains("metrics");
        let told: Vec<_> = results.warnings.iter().filter(missing).collect();
        assert!(told.is_empty(), "{by:?}: {told:?}");
    }
}
