//! `rewrap` and `reseal` change a file in its place: whose it is, where it is, and only if it is whole.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt as _;

use super::Stage;

const ARGUMENTS: &str = "-i id/identity.txt -r new/recipient.txt";

#[test]
fn a_link_stays_a_link_and_owner_and_mode_stay() {
    let stage = Stage::new();
    stage.ok("keys seal --out new");
    let is_root = rustix::process::geteuid().is_root();
    for command in ["rewrap", "reseal"] {
        stage.ok("seal model/config.json store.age -r id/recipient.txt");
        symlink("store.age", stage.path("link.age")).unwrap();
        fs::set_permissions(stage.path("store.age"), fs::Permissions::from_mode(0o640)).unwrap();
        if is_root {
            chown(stage.path("store.age"), Some(12345), Some(54321)).unwrap();
        }
        stage.ok(&format!("{command} link.age {ARGUMENTS}"));
        assert!(
            fs::symlink_metadata(stage.path("link.age"))
                .unwrap()
                .is_symlink()
        );
        let metadata = fs::symlink_metadata(stage.path("store.age")).unwrap();
        assert_eq!(metadata.mode() & 0o777, 0o640, "{command}");
        if is_root {
            assert_eq!(
                (metadata.uid(), metadata.gid()),
                (12345, 54321),
                "{command}"
            );
        } else {
            println!("SKIPPED: only root can give a file to somebody else");
        }
        stage.ok("open store.age out -i new/identity.txt --unsafe-unsigned");
        assert_eq!(stage.read("out"), b"{}");
        for name in ["out", "store.age", "link.age"] {
            fs::remove_file(stage.path(name)).unwrap();
        }
    }
}

#[test]
fn an_owner_outside_the_group_of_a_file_rewraps_it_unless_the_group_decides() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root can become somebody else");
        return;
    }
    let stage = Stage::new();
    stage.ok("keys seal --out new");
    stage.ok("seal model/config.json store.age -r id/recipient.txt");
    let (nobody, group) = (65534, 65532);
    for name in [".", "store.age", "id", "id/identity.txt", "new"] {
        chown(stage.path(name), Some(nobody), Some(group)).unwrap();
    }
    let remedy = "run as a member of that group or as root";
    for (mode, code, says) in [(0o640, 1, remedy), (0o644, 0, "")] {
        fs::set_permissions(stage.path("store.age"), fs::Permissions::from_mode(mode)).unwrap();
        let mut command = stage.command(&format!("rewrap store.age {ARGUMENTS}"));
        let output = command.uid(nobody).gid(nobody).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(says), "{said}");
        let metadata = fs::metadata(stage.path("store.age")).unwrap();
        assert_eq!(metadata.mode() & 0o777, mode);
    }
}

/// A run that was killed has given its partial file away already.
#[test]
fn what_a_killed_run_left_to_the_owner_of_the_file_is_removed() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root can give a file to somebody else");
        return;
    }
    let stage = Stage::new();
    stage.ok("keys seal --out new");
    stage.ok("seal model/config.json store.age -r id/recipient.txt");
    chown(stage.path("store.age"), Some(12345), Some(54321)).unwrap();
    for command in ["rewrap", "reseal"] {
        stage.write(".partial-store.age", b"half");
        chown(stage.path(".partial-store.age"), Some(777), None).unwrap();
        let ran = stage.run(&format!("{command} store.age {ARGUMENTS}"));
        assert!(
            ran.code == 1
                && ran
                    .err
                    .contains(".partial-store.age: of another owner (777)"),
            "{command}: {}",
            ran.err
        );
        chown(stage.path(".partial-store.age"), Some(12345), None).unwrap();
        stage.ok(&format!("{command} store.age {ARGUMENTS}"));
        assert!(!stage.exists(".partial-store.age"), "{command}");
        fs::copy(
            stage.path("new/identity.txt"),
            stage.path("id/identity.txt"),
        )
        .unwrap();
    }
    stage.ok("open store.age out -i new/identity.txt --unsafe-unsigned");
    assert_eq!(stage.read("out"), b"{}");
}

/// A single file opens only with its two signatures.
#[test]
fn signatures_that_were_not_named_are_told() {
    let stage = Stage::new();
    stage.ok("keys seal --out new");
    for (command, done) in [("rewrap", "rewrapped"), ("reseal", "resealed")] {
        stage.ok("seal model/config.json c.age -r id/recipient.txt --sign-with sign --replace");
        let ran = stage.ok(&format!("{command} c.age {ARGUMENTS}"));
        let says = format!(
            "hybridge: not {done}, and needed by `open --verify-with`: c.sig.age, c.sig.mldsa.age: run the command with them too\n"
        );
        assert!(ran.err.contains(&says), "{}", ran.err);
        let open = "open c.age out -i new/identity.txt --verify-with sign";
        stage.refused(open, 1, "c.sig.age: no identity matched");
        let ran = stage.ok(&format!("{command} c.sig.age c.sig.mldsa.age {ARGUMENTS}"));
        assert!(!ran.err.contains("not re"), "{}", ran.err);
        stage.ok(open);
        fs::remove_file(stage.path("out")).unwrap();
    }
}

#[test]
fn a_file_that_was_cut_off_is_not_rewrapped() {
    let stage = Stage::new();
    stage.ok("keys seal --out new");
    stage.write("plain", &vec![7; 200_000]);
    stage.ok("seal plain good.age -r id/recipient.txt");
    let good = stage.read("good.age");
    let head = good.len() - 200_000 - 4 * 16;
    for (length, says) in [
        (head + 65_552, "before its last chunk"),
        (good.len() - 1, "damaged at chunk 3"),
        (head, "truncated: the file ends at byte"),
        (head - 3, "truncated: the file ends at byte"),
    ] {
        for command in ["rewrap", "reseal"] {
            stage.write("cut.age", &good[..length]);
            let ran = stage.run(&format!("{command} cut.age {ARGUMENTS}"));
            assert!(
                ran.code == 1 && ran.err.contains("cut.age: ") && ran.err.contains(says),
                "{command} at {length}: {}",
                ran.err
            );
            assert!(stage.read("cut.age") == good[..length]);
            assert!(!stage.exists(".partial-cut.age"));
        }
    }
}
