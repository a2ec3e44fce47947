//! What others may put in the place of models, keys and bundles: no command waits for it.

use rustix::fs::{CWD, Mode, mkfifoat};

use super::Stage;

const SIGN: &str = "--key sign/ec.key --pq-key sign/mldsa.key";
const VERIFY: &str = "--public-key sign/ec.pub --pq-public-key sign/mldsa.pub";

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
