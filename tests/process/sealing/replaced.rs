//! What exists is replaced only with `--replace`, and what is read never.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt as _;

use super::{Stage, tree};

const OPEN: &str = "open c.age c -i id/identity.txt --unsafe-unsigned --replace";

/// A model that only its owner reads would be open to all, and a reader in the file's group would lose it.
#[test]
fn what_takes_the_place_of_a_file_belongs_to_whom_that_belonged() {
    let stage = Stage::new();
    let is_root = rustix::process::geteuid().is_root();
    let seal = "seal model/config.json c.age -r id/recipient.txt --sign-with sign";
    let sign = "sign model --key sign/ec.key --pq-key sign/mldsa.key";
    stage.ok(seal);
    stage.ok("open c.age c -i id/identity.txt --unsafe-unsigned");
    stage.ok(sign);
    for (command, names) in [
        (format!("{seal} --replace"), &["c.age"][..]),
        (OPEN.to_owned(), &["c"]),
        (
            format!("{sign} --replace"),
            &["model/model.sig", "model/model.sig.mldsa"],
        ),
    ] {
        for (mode, owner) in [(0o600, 12345), (0o644, 12346)] {
            for name in names {
                let path = stage.path(name);
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
                if is_root {
                    chown(&path, Some(owner), Some(54321)).unwrap();
                } else {
                    println!("SKIPPED: only root can give a file to somebody else");
                }
            }
            stage.ok(&command);
            for name in names {
                let seen = fs::metadata(stage.path(name)).unwrap();
                assert_eq!(seen.mode() & 0o7777, mode, "{command}: {name}");
                let of = (seen.uid(), seen.gid());
                assert!(!is_root || of == (owner, 54321), "{command}: {name} {of:?}");
            }
        }
    }
}

#[test]
fn a_file_whose_owner_cannot_be_kept_is_not_replaced() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root can become somebody else");
        return;
    }
    let stage = Stage::new();
    stage.ok("seal model/config.json c.age -r id/recipient.txt");
    stage.write("c", b"old");
    let nobody = 65534;
    for name in [".", "c.age", "id", "id/identity.txt"] {
        chown(stage.path(name), Some(nobody), Some(nobody)).unwrap();
    }
    let output = stage
        .command(OPEN)
        .uid(nobody)
        .gid(nobody)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let says = "c: it belongs to user 0 and group 0, which a new file cannot be given";
    assert!(
        said.contains(says) && said.contains("run as its owner"),
        "{said}"
    );
    assert_eq!(stage.read("c"), b"old");
    assert!(!stage.exists(".partial-c"));
}

#[test]
fn what_exists_is_not_overwritten() {
    let stage = Stage::new();
    stage.ok("seal model sealed -r id/recipient.txt --sign-with sign");
    let says = "sealed: not empty: name a directory that is empty or does not exist";
    let ran = stage.run("seal model sealed -r id/recipient.txt");
    assert!(ran.code == 1 && ran.err.contains(says), "{}", ran.err);
    stage.ok("seal model/config.json c.age -r id/recipient.txt");
    let ran = stage.run("seal model/config.json c.age -r id/recipient.txt");
    assert!(
        ran.code == 1
            && ran
                .err
                .contains("c.age: exists: choose another name, or add --replace"),
        "{}",
        ran.err
    );
    stage.write("model/config.json", b"{\"new\":1}");
    stage.ok("seal model/config.json c.age -r id/recipient.txt --replace");
    stage.ok("open c.age c -i id/identity.txt --unsafe-unsigned");
    assert_eq!(stage.read("c"), b"{\"new\":1}");
    let ran = stage.run("open c.age c -i id/identity.txt --unsafe-unsigned");
    assert!(
        ran.err
            .contains("c: exists: choose another name, or add --replace"),
        "{}",
        ran.err
    );
    stage.ok("open c.age c -i id/identity.txt --unsafe-unsigned --replace");
    stage.write("sealed/stale", b"");
    stage.ok("seal model sealed -r id/recipient.txt --sign-with sign --replace");
    assert!(!stage.exists("sealed/stale"));
    let ran = stage.run("seal model c -r id/recipient.txt --replace");
    assert!(
        ran.code == 1 && ran.err.contains("c: exists and is no directory"),
        "{}",
        ran.err
    );
    // A volume's own directory is there before.
    fs::create_dir(stage.path("volume")).unwrap();
    let open = "open sealed volume -i id/identity.txt --verify-with sign";
    stage.ok(open);
    assert_eq!(tree(&stage.path("volume")).len(), 5);
    let ran = stage.run(open);
    assert!(
        ran.code == 1 && ran.err.contains("or add --replace"),
        "{}",
        ran.err
    );
    stage.write("volume/old", b"");
    // As KServe names it.
    let root = stage.directory.path().display().to_string();
    let url = open.replace("open sealed", &format!("open sealed://{root}/sealed"));
    stage.ok(&format!("{url} --replace"));
    let relative = open.replace("open sealed", "open sealed://sealed");
    let ran = stage.run(&relative);
    assert!(
        ran.code == 64 && ran.err.contains("sealed:///PATH"),
        "{}",
        ran.err
    );
    assert!(!stage.exists("volume/old") && !stage.exists("volume/.partial-model"));
    let ran = stage.run("keys seal --out id");
    assert!(
        ran.code == 1 && ran.err.contains("a key is not overwritten"),
        "{}",
        ran.err
    );
}

/// With `--replace` it would be lost.
#[test]
fn what_is_read_is_not_written_over() {
    let stage = Stage::new();
    for (line, says) in [
        (
            "seal model model/sealed -r id/recipient.txt",
            "model/sealed and model lie one in the other",
        ),
        (
            "seal model model -r id/recipient.txt --replace",
            "model is what is read",
        ),
        (
            "seal model/empty model/empty -r id/recipient.txt --replace",
            "model/empty is what is read, so nothing can be written there: write to another place",
        ),
    ] {
        stage.refused(line, 64, says);
        assert_eq!(tree(&stage.path("model")).len(), 3);
    }
    stage.ok("seal model/config.json c.age -r id/recipient.txt");
    let open = "open c.age c.age -i id/identity.txt --unsafe-unsigned --replace";
    stage.refused(open, 64, "c.age is what is read");
    stage.refused(
        "open c.age out -i id/identity.txt",
        64,
        "<--verify-with <DIR>|--unsafe-unsigned>",
    );
}

/// As root, `/dev/null` would be gone from the whole machine.
#[test]
fn what_is_no_file_is_not_replaced() {
    let stage = Stage::new();
    stage.write("plain", b"what the link leads to");
    std::os::unix::fs::symlink("plain", stage.path("link")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(stage.path("pipe"))
        .status();
    assert!(made.unwrap().success());
    for (name, what) in [("link", "a symbolic link"), ("pipe", "a device, a pipe")] {
        for line in [
            format!("seal model/config.json {name} -r id/recipient.txt"),
            format!("seal model/config.json {name} -r id/recipient.txt --replace"),
            format!("ticket-keys new {name} --force"),
        ] {
            let ran = stage.run(&line);
            assert!(
                ran.code == 1 && ran.err.contains(what),
                "{line}: {}",
                ran.err
            );
        }
    }
    assert!(stage.path("link").is_symlink());
    assert_eq!(stage.read("plain"), b"what the link leads to");
}
