//! What others may put in the place of models, keys and bundles: no command waits for it or fills the memory.

use std::process::{Command, Stdio};

use hybridge_seal::signature::bundle;
use hybridge_seal::signature::keys::Kind;
use hybridge_seal::signature::model::signer;
use rustix::fs::{CWD, Mode, mkfifoat};

use super::{Ran, Stage};

const SIGN: &str = "--key sign/ec.key --pq-key sign/mldsa.key";
const VERIFY: &str = "--public-key sign/ec.pub --pq-public-key sign/mldsa.pub";
const TWO: [&str; 2] = ["model/model.sig", "model/model.sig.mldsa"];

/// With at most 320 MiB of addresses, its code included: two bundles at once had 299 MiB resident.
fn confined(stage: &Stage, line: &str) -> Ran {
    let program = env!("CARGO_BIN_EXE_hybridge");
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -v 327680; exec {program} {line}")]);
    let command = command.current_dir(stage.path(".")).stdin(Stdio::null());
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: output.stdout,
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Two bundles as large as they may be were in memory at once, each as text and as payload.
#[test]
fn two_bundles_of_the_largest_size_are_verified_one_after_the_other() {
    let stage = Stage::new();
    let payload = vec![b' '; 47 << 20];
    for (kind, key, name) in [
        (Kind::Ecdsa, "sign/ec.key", TWO[0]),
        (Kind::MlDsa, "sign/mldsa.key", TWO[1]),
    ] {
        let signer = signer(kind, &stage.path(key)).unwrap();
        let text = bundle::write(&payload, &signer).unwrap();
        assert!(text.len() > 60 << 20);
        stage.write(name, text.as_bytes());
    }
    let ran = confined(&stage, &format!("verify model {VERIFY}"));
    let says = "model.sig: the signed statement is not of model signing 1.0: ";
    assert!(ran.err.contains(says), "{}", ran.err);
    assert_eq!(ran.code, 1, "{}", ran.err);
}

#[test]
fn a_bundle_of_long_lists_costs_little_memory() {
    let stage = Stage::new();
    stage.ok(&format!("sign model {SIGN}"));
    let text = String::from_utf8(stage.read(TWO[0])).unwrap();
    let entries = format!("\"tlogEntries\":[{}0]", "0,".repeat(30 << 20));
    let one = "{\"sig\":\"\",\"keyid\":\"\"},";
    let signatures = format!("\"signatures\":[{}", one.repeat((60 << 20) / one.len()));
    let empty = "\"tlogEntries\":[]";
    for (from, to, code, says) in [
        (empty, entries, 0, ""),
        ("\"signatures\":[", signatures, 1, "and one is allowed"),
    ] {
        assert!(text.contains(from), "{text}");
        stage.write(TWO[0], text.replace(from, &to).as_bytes());
        let ran = confined(&stage, &format!("verify model {VERIFY}"));
        assert!(ran.err.contains(says), "{}", ran.err);
        assert_eq!(ran.code, code, "{}", ran.err);
    }
}

/// Nobody writes into the pipe, and the device never ends.
#[test]
fn a_pipe_or_a_device_is_no_model_and_no_key() {
    let stage = Stage::new();
    mkfifoat(CWD, stage.path("fifo"), Mode::RUSR | Mode::WUSR).unwrap();
    for name in ["fifo", "/dev/zero"] {
        let says = format!("{name}: not a regular file");
        stage.refused(&format!("sign {name} {SIGN}"), 1, &says);
        stage.refused(&format!("verify {name} {VERIFY}"), 1, &says);
    }
    let key = "neither a file nor a pipe, so no file of keys";
    for (name, says) in [("/dev/zero", key), (".", key), ("fifo", "fifo: ")] {
        let of_mldsa = "--pq-key sign/mldsa.key";
        stage.refused(&format!("sign model --key {name} {of_mldsa}"), 1, says);
    }
    let seal = |from: &str| format!("seal model/config.json out -r {from}");
    stage.refused(&seal("fifo"), 64, "fifo: no recipient in it");
    stage.refused(&seal("/dev/zero"), 1, key);
}

/// `<(…)` of a shell: the secret need not lie on a disk.
#[test]
fn an_identity_comes_through_a_pipe() {
    let stage = Stage::new();
    stage.ok("seal model/config.json a.age -r id/recipient.txt");
    mkfifoat(CWD, stage.path("fifo"), Mode::RUSR | Mode::WUSR).unwrap();
    let mut held = std::fs::File::options();
    let held = held
        .read(true)
        .write(true)
        .open(stage.path("fifo"))
        .unwrap();
    let identity = stage.read("id/identity.txt");
    std::thread::scope(|scope| {
        let fifo = stage.path("fifo");
        scope.spawn(move || {
            std::fs::write(fifo, identity).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(300));
            drop(held);
        });
        stage.ok("open a.age out -i fifo --unsafe-unsigned");
    });
    assert_eq!(stage.read("out"), stage.read("model/config.json"));
}
