//! Nothing is left out without a word: neither a file of a model, nor bytes of a file, nor the result.

use std::process::Stdio;

use super::*;

/// A `lost+found` is left out where it is the file system's own, which is empty.
#[test]
fn files_in_a_lost_and_found_are_files_of_the_model() {
    let stage = Stage::new();
    for file in ["m/a", "m/b"] {
        stage.write(file, b"weights");
    }
    let keys = "--key sign/ec.key --pq-key sign/mldsa.key";
    let public = "--public-key sign/ec.pub --pq-public-key sign/mldsa.pub";
    fs::create_dir(stage.path("m/lost+found")).unwrap();
    stage.ok(&format!("sign m {keys}"));
    stage.ok(&format!("verify m {public}"));
    stage.write("m/lost+found/evil.py", b"import os");
    stage.refused(&format!("verify m {public}"), 1, "lost+found/evil.py");
    stage.ok(&format!("sign m {keys} --replace"));
    stage.ok(&format!("verify m {public}"));
    fs::remove_file(stage.path("m/lost+found/evil.py")).unwrap();
    stage.refused(&format!("verify m {public}"), 1, "lost+found/evil.py");
}

/// A shell's `>&-` and `<&-`: Rust then opens `/dev/null`, which takes everything and has nothing.
#[test]
fn a_closed_standard_stream_is_no_stream() {
    let stage = Stage::new();
    stage.write("a", b"weights");
    stage.ok("seal a a.age -r id/recipient.txt");
    let shell = |line: &str| {
        let program = env!("CARGO_BIN_EXE_hybridge");
        let output = Command::new("sh")
            .args(["-c", &format!("{program} {line}")])
            .current_dir(stage.path(""))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    let open = "open a.age - -i id/identity.txt --unsafe-unsigned";
    let (code, said) = shell(&format!("{open} >&-"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("standard output is closed"), "{said}");
    // What somebody asks for is done.
    assert_eq!(shell(&format!("{open} >/dev/null")).0, Some(0));
    let (code, said) = shell("seal - b.age -r id/recipient.txt <&-");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("standard input is closed"), "{said}");
    assert!(!stage.exists("b.age"));
    assert_eq!(
        shell("seal - c.age -r id/recipient.txt </dev/null").0,
        Some(0)
    );
}

/// The size of such a file is 0.
#[test]
fn a_file_without_a_size_is_refused() {
    let stage = Stage::new();
    stage.refused(
        "seal /proc/cpuinfo p.age -r id/recipient.txt",
        1,
        "longer than 0 bytes",
    );
    assert!(!stage.exists("p.age"));
}

/// A report that nobody reads leaves no file as it was.
#[test]
fn every_file_is_rewrapped_though_standard_output_is_full() {
    let stage = Stage::new();
    stage.ok("keys seal --out other");
    for file in ["a", "b"] {
        stage.write(file, b"weights");
        stage.ok(&format!("seal {file} {file}.age -r id/recipient.txt"));
    }
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let line = "rewrap a.age b.age -i id/identity.txt -r other/recipient.txt";
    let status = stage.command(line).stdout(full).status().unwrap();
    assert_eq!(status.code(), Some(1));
    for file in ["a", "b"] {
        stage.ok(&format!(
            "open {file}.age {file}.out -i other/identity.txt --unsafe-unsigned"
        ));
    }
}
