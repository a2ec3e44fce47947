//! The file of ticket keys: made, rotated, refused, replaced while the listener runs.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};

use rustix::process::Signal;

use crate::support::openssl::Client;
use crate::support::process::Process;
use crate::support::{Setup, answering, eventually};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// `hybridge ticket-keys …`
pub(crate) fn ticket_keys(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hybridge"));
    command.arg("ticket-keys").args(words).output().unwrap()
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8([&out[..], err].concat()).unwrap()
}

fn roles(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let keys = text.lines().filter(|line| !line.starts_with('#'));
    keys.map(|line| line.split(' ').next().unwrap().to_owned())
        .collect()
}

#[test]
fn a_file_is_made_once_and_rotated_in_three_steps() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tickets");
    let name = file.to_str().unwrap();
    let made = ticket_keys(&["new", name]);
    assert!(made.status.success(), "{}", text(&made));
    let mode = || file.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    let again = ticket_keys(&["new", name]);
    assert!(!again.status.success());
    assert!(text(&again).contains("exists"), "{}", text(&again));
    assert_eq!(roles(&file), ["active"]);
    let first = std::fs::read_to_string(&file).unwrap();
    // A group of its owner's choice goes on reading, and no other.
    let group = file.metadata().unwrap().gid() + u32::from(rustix::process::geteuid().is_root());
    std::os::unix::fs::chown(&file, None, Some(group)).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    for (word, expected) in [
        ("added", &["active", "next"][..]),
        ("promoted", &["active", "previous"]),
        ("retired", &["active"]),
    ] {
        let step = ticket_keys(&["rotate", name]);
        assert!(step.status.success(), "{}", text(&step));
        assert!(text(&step).contains(word), "{}", text(&step));
        assert_eq!(roles(&file), expected);
        assert_eq!((mode(), file.metadata().unwrap().gid()), (0o640, group));
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            let key = line.split(' ').nth(1).unwrap();
            assert!(line.starts_with('#') || !text(&step).contains(key));
        }
    }
    assert_ne!(std::fs::read_to_string(&file).unwrap(), first);
    let names = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(names, 1, "nothing is left behind");
    // The sidecar that reads it as that group goes on after a stolen key too.
    let stolen = std::fs::read_to_string(&file).unwrap();
    let forced = ticket_keys(&["new", "--force", name]);
    assert!(forced.status.success(), "{}", text(&forced));
    assert_ne!(std::fs::read_to_string(&file).unwrap(), stolen);
    assert_eq!((mode(), file.metadata().unwrap().gid()), (0o640, group));
}

/// A slip of the shell's completion must cost no private key.
#[test]
fn a_file_that_holds_something_else_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tls.key");
    let name = file.to_str().unwrap();
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    std::fs::write(&file, &key).unwrap();
    for words in [&["new", name][..], &["new", "--force", name]] {
        let refused = ticket_keys(words);
        assert_eq!(refused.status.code(), Some(1));
        let said = text(&refused);
        assert!(said.contains("exists and holds no ticket keys"), "{said}");
        assert!(!said.contains("--force"), "{said}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), key);
    }
    // A damaged one is, and one without a key.
    for damaged in ["active secret-text\n", "", "# hybridge ticket keys\n"] {
        std::fs::write(&file, damaged).unwrap();
        let made = ticket_keys(&["new", "--force", name]);
        assert!(made.status.success(), "{}", text(&made));
        assert_eq!(roles(&file), ["active"]);
    }
}

/// A key that somebody planted must not be promoted, and the file look as if nobody could have.
#[test]
fn a_file_that_everybody_may_write_is_not_rotated() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tickets");
    let name = file.to_str().unwrap();
    ticket_keys(&["new", name]);
    let mode = |mode| std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o646);
    let before = std::fs::read_to_string(&file).unwrap();
    let refused = ticket_keys(&["rotate", name]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused);
    assert!(
        said.contains("may be written by everybody (mode 0646)"),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    mode(0o644);
    assert!(ticket_keys(&["rotate", name]).status.success());
}

#[test]
fn a_link_goes_on_pointing_and_a_file_that_is_none_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("tickets"), dir.path().join("link"));
    ticket_keys(&["new", file.to_str().unwrap()]);
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert!(
        ticket_keys(&["rotate", link.to_str().unwrap()])
            .status
            .success()
    );
    assert!(link.is_symlink());
    assert_eq!(roles(&file), ["active", "next"]);
    std::fs::write(&file, "active secret-text\n").unwrap();
    let refused = ticket_keys(&["rotate", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused);
    assert!(said.contains("line 1 holds a key that is not"), "{said}");
    assert!(!said.contains("secret-text"), "{said}");
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "active secret-text\n"
    );
    let missing = dir.path().join("none");
    let missing = ticket_keys(&["rotate", missing.to_str().unwrap()]);
    assert!(text(&missing).contains("does not exist"));
}

fn check(file: &Path) -> Output {
    let dir = file.parent().unwrap();
    crate::support::pki::TestPki::new(hybridge::certgen::Algorithm::EcdsaP256).write_to(dir);
    let mut command = Command::new(env!("CARGO_BIN_EXE_hybridge"));
    command
        .args(["check", "--listen", "127.0.0.1:0", "--upstream"])
        .args(["127.0.0.1:9", "--cert"])
        .arg(dir.join("tls.crt"))
        .arg("--key")
        .arg(dir.join("tls.key"))
        .arg("--ticket-keys")
        .arg(file);
    command.output().unwrap()
}

#[test]
fn check_verifies_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tickets");
    let missing = check(&file);
    assert_eq!(missing.status.code(), Some(64));
    assert!(
        text(&missing).contains("does not exist"),
        "{}",
        text(&missing)
    );
    ticket_keys(&["new", file.to_str().unwrap()]);
    let good = check(&file);
    assert!(good.status.success(), "{}", text(&good));
    assert!(
        text(&good).contains("encrypts, 0 more decrypt"),
        "{}",
        text(&good)
    );
    assert!(!text(&good).contains("everybody"), "{}", text(&good));
    for (mode, said, code) in [
        (0o644, "may be read by everybody (mode 0644)", 0),
        (0o602, "may be written by everybody (mode 0602)", 64),
    ] {
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        let checked = check(&file);
        assert_eq!(checked.status.code(), Some(code), "{}", text(&checked));
        assert!(text(&checked).contains(said), "{}", text(&checked));
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, vec![b'a'; 2 << 20]).unwrap();
    let large = check(&file);
    assert_eq!(large.status.code(), Some(64));
    assert!(text(&large).contains("is larger than"), "{}", text(&large));
}

/// A file that cannot be used changes nothing, and is said.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_good_keys_stay() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tickets");
    ticket_keys(&["new", file.to_str().unwrap()]);
    let good = std::fs::read_to_string(&file).unwrap();
    let setup = Setup::in_front_of(answering(ANSWER).await);
    let setup = setup.tls(&format!("ticket-keys = \"{}\"", file.display()));
    let process = Process::start(&setup).await;
    let status = async || -> serde_json::Value {
        let (_, page) = process.admin("/status").await;
        let status: serde_json::Value = serde_json::from_str(&page).unwrap();
        status["listeners"][0]["ticket_keys"].clone()
    };
    let before = status().await;
    assert_eq!(before["opening"], serde_json::json!([]));
    let resumed = async || {
        let first = Client::new().connect(process.address).await.unwrap();
        let sessions = first.finish(b"").await.sessions;
        let again = Client::new().resuming(&sessions[0]);
        again.connect(process.address).await.unwrap().is_resumed()
    };
    assert!(resumed().await);
    std::fs::write(&file, "active secret-text\n").unwrap();
    eventually("the failure to be said", async || {
        status().await["error"].to_string().contains("line 1")
    })
    .await;
    assert_eq!(status().await["active"], before["active"]);
    let (code, page) = process.admin("/readyz").await;
    let said =
        "listener `test`: the ticket keys cannot be read, those before are used: ticket-keys: ";
    assert!(code == 200 && page.contains(said), "{page}");
    assert!(resumed().await);
    process.logs("ticket keys not reloaded").await;
    std::fs::write(&file, &good).unwrap();
    eventually("the failure to be forgotten", async || {
        status().await == before
    })
    .await;
    process.signal(Signal::HUP);
    process.logs("ticket keys unchanged").await;
    let key = good.lines().last().unwrap().split(' ').nth(1).unwrap();
    let log = process.log();
    assert!(!log.contains("secret-text") && !log.contains(key), "{log}");
}

/// A bad Secret does not keep a healthy app from its sidecar, where the certificate is waited for too.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_waited_for_as_the_certificate_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tickets");
    let setup = Setup::in_front_of(answering(ANSWER).await);
    let setup = setup.tls(&format!(
        "ticket-keys = \"{}\"\nwait-for-certificate = true",
        file.display()
    ));
    let process = Process::start(&setup).await;
    process.logs("no usable ticket keys yet").await;
    let (_, page) = process.admin("/readyz").await;
    assert!(page.contains("does not exist"), "{page}");
    let first = Client::new().connect(process.address).await.unwrap();
    let sessions = first.finish(b"").await.sessions;
    let again = Client::new().resuming(&sessions[0]);
    let again = again.connect(process.address).await.unwrap();
    assert!(again.is_resumed());
    std::fs::write(&file, "active secret-text\n").unwrap();
    eventually("the next failure to be said", async || {
        let (_, page) = process.admin("/readyz").await;
        page.contains("cannot be read, this process makes its own: ") && page.contains("line 1")
    })
    .await;
    process
        .logs("no usable ticket keys yet, this process makes its own")
        .await;
    let log = process.log();
    assert!(
        !log.contains("last good") && !log.contains("secret-text"),
        "{log}"
    );
    ticket_keys(&["new", "--force", file.to_str().unwrap()]);
    process.logs("ticket keys reloaded").await;
    assert_eq!(process.admin("/readyz").await, (200, "ready\n".to_owned()));
}
