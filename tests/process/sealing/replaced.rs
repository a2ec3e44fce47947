//! What exists is replaced only with `--replace`, and what is read never.

use std::fs;

use super::{Stage, tree};

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
