//! What systemd hears over `NOTIFY_SOCKET`.

use std::path::Path;

use hybridge::certgen::Algorithm;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};

use crate::support::pki::TestPki;
use crate::support::within;

fn start(dir: &TempDir, notify: &Path) -> Child {
    TestPki::new(Algorithm::EcdsaP256)
        .leaf(&["localhost"])
        .write_to(dir.path());
    Command::new(env!("CARGO_BIN_EXE_hybridge"))
        .args(["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--upstream", "127.0.0.1:9", "--drain-delay", "0s"])
        .args(["--drain-timeout", "2h"])
        .arg("--cert")
        .arg(dir.path().join("tls.crt"))
        .arg("--key")
        .arg(dir.path().join("tls.key"))
        .env_clear()
        .env("NOTIFY_SOCKET", notify)
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

fn terminate(child: &Child) {
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
}

async fn heard(socket: &UnixDatagram) -> String {
    let mut bytes = vec![0; 4096];
    let length = within(socket.recv(&mut bytes)).await.unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

#[tokio::test]
async fn a_service_manager_hears_of_readiness_and_of_a_drain_that_may_take_hours() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut child = start(&dir, &path);
    assert_eq!(heard(&socket).await, "READY=1\nSTATUS=1 listener\n");
    terminate(&child);
    let said = heard(&socket).await;
    let stopping = "STOPPING=1\nSTATUS=draining, 0 open\nEXTEND_TIMEOUT_USEC=60000000\n";
    assert_eq!(said, stopping);
    assert_eq!(within(child.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_service_manager_that_is_gone_is_warned_about_and_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = start(&dir, &dir.path().join("nobody"));
    let mut stderr = child.stderr.take().unwrap();
    let mut log = String::new();
    while !log.contains("the service manager cannot be told (NOTIFY_SOCKET)") {
        let mut bytes = vec![0; 4096];
        let length = within(stderr.read(&mut bytes)).await.unwrap();
        assert!(length > 0, "it ended: {log}");
        log.push_str(&String::from_utf8_lossy(&bytes[..length]));
    }
    terminate(&child);
    assert_eq!(within(child.wait()).await.unwrap().code(), Some(0));
}
