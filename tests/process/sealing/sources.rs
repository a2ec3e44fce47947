//! Where things come from and go to: pipes, memory, room, and combinations that make no sense.

use std::fs;
use std::path::Path;

use super::Stage;

/// The names of tensors are chosen by the file's maker.
#[test]
fn nothing_in_the_json_of_inspect_drives_a_terminal() {
    let stage = Stage::new();
    let name = "w\u{9b}31m\u{202e}\u{2028}";
    let header =
        format!("{{\"{name}\":{{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}}}");
    let length = (header.len() as u64).to_le_bytes();
    stage.write("named", &[&length, header.as_bytes(), b"x"].concat());
    stage.ok("seal named a.age -r id/recipient.txt");
    let said = stage.ok("inspect a.age -i id/identity.txt --json").out;
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("w\\u009b31m\\u202e\\u2028"), "{said:?}");
    assert!(
        !said.contains(['\u{9b}', '\u{202e}', '\u{2028}']),
        "{said:?}"
    );
}

#[test]
fn a_signature_is_demanded_or_its_absence_spelled_out() {
    let stage = Stage::new();
    stage.ok("seal model sealed -r id/recipient.txt");
    stage.refused(
        "open sealed out -i id/identity.txt",
        64,
        "--verify-with <DIR>",
    );
    stage.refused(
        "open sealed out -i id/identity.txt --unsafe-unsigned --verify-with sign",
        64,
        "cannot be used with",
    );
    stage.refused(
        "open sealed out -i id/identity.txt --verify-with sign",
        1,
        "sealed/model.sig.age: missing",
    );
    let ran = stage.ok("open sealed out -i id/identity.txt --unsafe-unsigned");
    assert!(
        ran.err
            .contains("--unsafe-unsigned: no signature is verified"),
        "{}",
        ran.err
    );
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let stage = Stage::new();
    stage.ok("seal model sealed -r id/recipient.txt --sign-with sign");
    for (line, says) in [
        (
            "open sealed/config.json.age - -i id/identity.txt --verify-with sign",
            "--verify-with: what goes through a pipe",
        ),
        (
            "open sealed - -i id/identity.txt --unsafe-unsigned",
            "a directory cannot go to standard output",
        ),
        (
            "open sealed/config.json.age - -i id/identity.txt --unsafe-unsigned --require-memory",
            "--require-memory: nobody knows where a pipe ends",
        ),
        (
            "seal model - -r id/recipient.txt",
            "a directory cannot go to standard output",
        ),
        (
            "seal - out -r id/recipient.txt --sign-with sign",
            "--sign-with: a pipe has no place for signatures",
        ),
        (
            "seal model out -r id/recipient.txt --threads 0",
            "--threads",
        ),
    ] {
        stage.refused(line, 64, says);
    }
    fs::create_dir(stage.path("none")).unwrap();
    stage.refused(
        "seal none out -r id/recipient.txt",
        1,
        "none: no file in it",
    );
    stage.refused(
        "rewrap none -i id/identity.txt -r id/recipient.txt",
        1,
        "none: no sealed file (.age) in it",
    );
    std::os::unix::fs::symlink("/etc/hostname", stage.path("model/link")).unwrap();
    stage.refused(
        "seal model out -r id/recipient.txt",
        1,
        "model/link: a symbolic link",
    );
}

/// The directory of a target in memory, if this machine has one.
fn in_memory() -> Option<tempfile::TempDir> {
    let shm = Path::new("/dev/shm");
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let is_tmpfs = mounts
        .lines()
        .any(|line| line.starts_with("tmpfs /dev/shm "));
    is_tmpfs.then(|| tempfile::tempdir_in(shm).ok()).flatten()
}

#[test]
fn a_disk_is_no_memory() {
    let stage = Stage::new();
    stage.ok("seal model/config.json c.age -r id/recipient.txt");
    let disk = fs::read_to_string("/proc/mounts").unwrap();
    let on_disk = !disk.lines().any(|line| line.starts_with("tmpfs /tmp "));
    let open = "open c.age out -i id/identity.txt --unsafe-unsigned --require-memory";
    if on_disk {
        stage.refused(open, 1, "--require-memory: . is on a disk");
    } else {
        println!("SKIPPED: /tmp is a tmpfs here");
    }
    let Some(memory) = in_memory() else {
        println!("SKIPPED: /dev/shm is no tmpfs here");
        return;
    };
    let target = memory.path().join("c");
    let ran = stage.run(&open.replace(" out ", &format!(" {} ", target.display())));
    let swaps = fs::read_to_string("/proc/swaps")
        .unwrap_or_default()
        .lines()
        .count()
        > 1;
    if swaps {
        assert!(
            ran.code == 1 && ran.err.contains("this machine swaps"),
            "{}",
            ran.err
        );
    } else {
        assert_eq!(
            (ran.code, fs::read(target).unwrap()),
            (0, b"{}".to_vec()),
            "{}",
            ran.err
        );
    }
}

/// A sparse file larger than the disk: nothing is written of it.
#[test]
fn too_little_room_is_told_before_anything_is_written() {
    let stage = Stage::new();
    let sparse = fs::File::create(stage.path("sparse")).unwrap();
    let larger = 1 << 43;
    sparse.set_len(larger).unwrap();
    stage.refused(
        "seal sparse out -r id/recipient.txt",
        1,
        "GiB are needed and",
    );
}

/// `<(…)` of a shell: a pipe with a name.
#[test]
fn a_pipe_with_a_name_is_opened_as_a_pipe() {
    let stage = Stage::new();
    stage.ok("seal model/weights/a.safetensors a.age -r id/recipient.txt");
    let fifo = stage.path("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).unwrap();
    let sealed = stage.read("a.age");
    let fed = |line: &str| {
        std::thread::scope(|scope| {
            let written = scope.spawn(|| fs::write(&fifo, &sealed));
            let ran = stage.run(line);
            // A reader for a writer that nobody read from.
            let _ = fs::File::options().read(true).write(true).open(&fifo);
            let _ = written.join();
            ran
        })
    };
    let ran = fed("open fifo out -i id/identity.txt --unsafe-unsigned");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(stage.read("out"), stage.read("model/weights/a.safetensors"));
    fs::remove_file(stage.path("out")).unwrap();
    stage.refused(
        "open fifo out -i id/identity.txt --verify-with sign",
        64,
        "--verify-with: what goes through a pipe",
    );
    for line in [
        "inspect fifo",
        "rewrap fifo -i id/identity.txt -r id/recipient.txt",
        "reseal fifo -i id/identity.txt -r id/recipient.txt",
    ] {
        stage.refused(
            line,
            1,
            "fifo: not a regular file, and a pipe cannot be read",
        );
    }
}

/// Lists that cost 57 times their size, when they were read whole.
#[test]
fn a_hostile_list_of_tensors_costs_little_memory() {
    let stage = Stage::new();
    let entry = r#""":{"dtype":"","shape":[],"data_offsets":[0,0]},"#;
    let deep = format!(
        "{{\"w\":{{\"dtype\":\"U8\",\"data_offsets\":[0,0],\"shape\":[{}0]}}}}",
        "0,".repeat(8 << 20)
    );
    let objects = format!("{{\"__metadata__\":[{}0]}}", "{},".repeat(5 << 20));
    let many = format!(
        "{{{}\"\":{{}}}}",
        entry.repeat((16 << 20) / entry.len() - 1)
    );
    let long = format!("{{\"{}\":0}}", "x".repeat((16 << 20) - 16));
    for (header, listed) in [(deep, false), (objects, true), (many, false), (long, false)] {
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header.as_bytes());
        stage.write("hostile", &file);
        stage.ok("seal hostile hostile.age -r id/recipient.txt");
        let mut command = std::process::Command::new("sh");
        let inspect = "inspect hostile.age -i id/identity.txt --json";
        let program = env!("CARGO_BIN_EXE_hybridge");
        command.args(["-c", &format!("ulimit -v 262144; exec {program} {inspect}")]);
        let ran = command.current_dir(stage.path(".")).output().unwrap();
        assert!(
            ran.status.success(),
            "{}",
            String::from_utf8_lossy(&ran.stderr)
        );
        let json: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(json.get("tensors").is_some(), listed, "{}", &header[..20]);
        fs::remove_file(stage.path("hostile.age")).unwrap();
    }
    let mut file = (17_u64 << 20).to_le_bytes().to_vec();
    file.resize(8 + (17 << 20), b'{');
    stage.write("hostile", &file);
    stage.ok("seal hostile hostile.age -r id/recipient.txt");
    let ran = stage.ok("inspect hostile.age -i id/identity.txt");
    let said = String::from_utf8(ran.out).unwrap();
    let says = "tensors       not listed: a header of 17.0 MiB, and 16.0 MiB is the most";
    assert!(said.contains(says), "{said}");
}
