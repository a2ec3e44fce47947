//! The servers the tool starts itself, with the real sidecar: they leave nothing behind. Skipped where the sidecar
//! has not been built beside the tool.

use std::path::Path;
use std::process::{Command, Stdio};

const BIN: &str = env!("CARGO_BIN_EXE_hybridge-loadtest");

#[test]
fn the_demo_leaves_no_keys_behind() {
    if !Path::new(BIN).with_file_name("hybridge").is_file() {
        eprintln!("skipped: no hybridge beside {BIN}; `cargo build --bin hybridge` makes it");
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
