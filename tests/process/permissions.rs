//! Files that others may write or read: refused where they say whom to trust, a warning where they hold a secret.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use hybridge::certgen::Algorithm;

use crate::support::pki::TestPki;
use crate::support::process::Process;
use crate::support::{Setup, answering};
use rustix::process::Signal;

const SET: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"ed","principal":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn hybridge(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hybridge"));
    let output = command.args(arguments).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    (
        output.status.code(),
        said + &String::from_utf8_lossy(&output.stderr),
    )
}

/// A directory with everything that a listener and an egress may be told to read.
fn files() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let pki = TestPki::new(Algorithm::EcdsaP256);
    pki.leaf(&["localhost"]).write_to(dir.path());
    mode(&dir.path().join("tls.key"), 0o600);
    for name in ["clients.crt", "servers.crt"] {
        fs::write(dir.path().join(name), pki.ca_pem()).unwrap();
    }
    fs::write(dir.path().join("clients.jwks"), SET).unwrap();
    let keys = dir.path().join("sign");
    let (code, said) = hybridge(&["keys", "sign", "--out", keys.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    dir
}

fn check(dir: &Path, tls: &str) -> (Option<i32>, String) {
    let at = dir.display();
    let text = format!(
        "[[listener]]\nlisten = \"127.0.0.1:0\"\nupstream = \"127.0.0.1:9\"\n[listener.tls]\ncert = \"{at}/tls.crt\"\nkey = \"{at}/tls.key\"\nclient-auth = \"required\"\nclient-ca = \"{at}/clients.crt\"\nallow-any = true\n{tls}\n[listener.signature]\nmode = \"verify\"\nrequire = [\"classical\"]\nkeys = \"{at}/clients.jwks\"\nresponses = \"{at}/sign\"\n[[egress]]\nlisten = \"127.0.0.1:0\"\ntarget = \"a.example:443\"\ntls.ca = \"{at}/servers.crt\"\n"
    );
    let file = dir.join("hybridge.toml");
    fs::write(&file, text).unwrap();
    hybridge(&["check", file.to_str().unwrap()])
}

#[test]
fn a_file_that_says_whom_to_trust_is_refused_if_everybody_may_write_it() {
    let dir = files();
    let (code, said) = check(dir.path(), "");
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("everybody"), "{said}");
    fs::write(dir.path().join("clients.crl"), "none").unwrap();
    let crl = format!("client-crl = \"{}/clients.crl\"", dir.path().display());
    for (name, setting) in [
        ("clients.crt", "client-ca: "),
        ("clients.crl", "client-crl: "),
        ("clients.jwks", "signature keys "),
        ("servers.crt", "ca: "),
    ] {
        let tls = if name == "clients.crl" { &crl } else { "" };
        let path = dir.path().join(name);
        mode(&path, 0o646);
        let (code, said) = check(dir.path(), tls);
        assert_eq!(code, Some(64), "{name}: {said}");
        assert!(said.contains(setting), "{name}: {said}");
        let written = format!("{} may be written by everybody (mode 0646)", path.display());
        assert!(said.contains(&written), "{name}: {said}");
        mode(&path, 0o664);
    }
    let (code, said) = check(dir.path(), "");
    assert_eq!(code, Some(0), "{said}");
}

/// The receipt of each response names the model that it says.
#[test]
fn a_statement_of_the_model_is_refused_if_everybody_may_write_it() {
    let dir = files();
    let model = dir.path().join("model");
    fs::write(&model, "weights").unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let [key, pq_key] = ["sign/ec.key", "sign/mldsa.key"].map(at);
    let (code, said) = hybridge(&["sign", &at("model"), "--key", &key, "--pq-key", &pq_key]);
    assert_eq!(code, Some(0), "{said}");
    let statement = dir.path().join("model.sig");
    let set = format!("[listener.signature]\nmodel = \"{}\"", statement.display());
    let (toml, file) = (at("hybridge.toml"), dir.path().join("hybridge.toml"));
    check(dir.path(), "");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("[listener.signature]", &set)).unwrap();
    let (code, said) = hybridge(&["check", &toml]);
    assert_eq!(code, Some(0), "{said}");
    mode(&statement, 0o666);
    let (code, said) = hybridge(&["check", &toml]);
    assert_eq!(code, Some(64), "{said}");
    let says = format!(
        "{}: everybody may write it (mode 0666)",
        statement.display()
    );
    assert!(said.contains(&says), "{said}");
}

#[test]
fn keys_of_responses_that_everybody_may_read_are_a_warning() {
    let dir = files();
    for (key, open, who) in [
        ("ec.key", 0o644, "read by everybody"),
        ("mldsa.key", 0o660, "written by its group"),
    ] {
        let path = dir.path().join("sign").join(key);
        mode(&path, open);
        let (code, said) = check(dir.path(), "");
        assert_eq!(code, Some(0), "{said}");
        let warning = format!("{} may be {who} (mode {open:04o})", path.display());
        assert!(said.contains(&warning), "{said}");
        mode(&path, 0o600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_use_stays_when_everybody_may_write_the_file() {
    let dir = files();
    let ca = dir.path().join("clients.crt");
    let upstream = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let setup = Setup::in_front_of(upstream).tls(&format!(
        "client-auth = \"optional\"\nclient-ca = \"{}\"\nallow-any = true",
        ca.display()
    ));
    let process = Process::start(&setup).await;
    mode(&ca, 0o666);
    process.signal(Signal::HUP);
    process
        .logs("may be written by everybody (mode 0666)")
        .await;
    let (code, page) = process.admin("/readyz").await;
    assert!(code == 200 && page.contains("client-ca"), "{page}");
    let answer = process
        .exchange(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await;
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

/// The pair in use is the same: who may write the key can replace it later, and a restart would refuse it.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_use_that_everybody_may_write_is_said() {
    let process = Process::start(&Setup::in_front_of("127.0.0.1:9")).await;
    let key = process.dir.path().join("tls.key");
    mode(&key, 0o666);
    process.signal(Signal::HUP);
    let says = "may be written by everybody (mode 0666), who could replace it";
    process.logs(says).await;
    let (code, page) = process.admin("/readyz").await;
    assert!(code == 200 && page.contains(says), "{page}");
    mode(&key, 0o600);
    process.signal(Signal::HUP);
    process
        .logs("certificate files hold the pair in use again")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_responses_that_everybody_may_read_after_a_rotation_are_a_warning() {
    let dir = files();
    let keys = dir.path().join("sign");
    let setup = Setup::in_front_of("127.0.0.1:9").listener(&format!(
        "[listener.signature]\nresponses = \"{}\"",
        keys.display()
    ));
    let process = Process::start(&setup).await;
    let key = keys.join("ec.key");
    let warning = format!("{} may be read by everybody (mode 0644)", key.display());
    assert!(!process.log().contains(&warning), "{}", process.log());
    let new = dir.path().join("new");
    let (code, said) = hybridge(&["keys", "sign", "--out", new.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    mode(&new.join("ec.key"), 0o644);
    for name in ["ec.key", "mldsa.key"] {
        fs::rename(new.join(name), keys.join(name)).unwrap();
    }
    process.signal(Signal::HUP);
    process.logs(&warning).await;
    process.logs("\"keys reloaded\"").await;
}

/// A group that decides nothing keeps no owner from renewing, and one that does is what the remedy names.
#[test]
fn an_owner_outside_the_group_of_a_file_replaces_it_unless_the_group_decides() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root can become somebody else");
        return;
    }
    let (nobody, group) = (65534, 65532);
    let parent = tempfile::tempdir().unwrap();
    mode(parent.path(), 0o711);
    let dir = parent.path().join("certs");
    let at = dir.to_str().unwrap();
    let (code, said) = hybridge(&["certs", "--dir", at]);
    assert_eq!(code, Some(0), "{said}");
    let own = |path: &Path, group| chown(path, Some(nobody), Some(group)).unwrap();
    own(&dir, nobody);
    let renew = || {
        for name in ["ca.crt", "ca.key", "tls.crt", "tls.key"] {
            own(&dir.join(name), group);
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_hybridge"));
        command.args(["certs", "--dir", at, "--reuse-ca", "--force"]);
        let output = command.uid(nobody).gid(nobody).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    };
    let cert = || fs::read(dir.join("tls.crt")).unwrap();
    let before = cert();
    let (code, said) = renew();
    assert_eq!(code, Some(0), "{said}");
    assert_ne!(cert(), before);
    for (name, bits) in [("tls.key", 0o640), ("tls.crt", 0o664), ("tls.crt", 0o640)] {
        let before = cert();
        mode(&dir.join(name), bits);
        let (code, said) = renew();
        assert_eq!(code, Some(1), "{name}: {said}");
        let remedy = "run as a member of that group or as root";
        assert!(said.contains(name) && said.contains(remedy), "{said}");
        assert_eq!(cert(), before);
        mode(
            &dir.join(name),
            if name == "tls.key" { 0o600 } else { 0o644 },
        );
    }
}
