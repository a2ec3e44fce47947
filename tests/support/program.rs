//! The shipped program as a process of its own, whose resident memory the kernel tells.
//!
//! `HYBRIDGE_BIN` names another binary, such as the release build for long transfers.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::missing_panics_doc
)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use hybridge::certgen::Algorithm;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::http::nobody;
use crate::support::pki::TestPki;
use crate::support::{client_config, eventually};

/// What a transfer may add to the process's resident memory.
const FLAT: u64 = 16 * 1024 * 1024;

/// The program, running.
pub struct Program {
    child: Child,
    address: SocketAddr,
    ca: Vec<u8>,
    _reserved: socket2::Socket,
    _dir: TempDir,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    pub async fn start(app: SocketAddr, protocol: &str) -> Self {
        Self::launch(app, protocol, |binary| {
            let mut command = Command::new(binary);
            command.args(["run", "--admin", "none"]);
            command
        })
        .await
    }

    /// In the cgroup of that file, with so many connections at most; and its admin port.
    pub async fn start_in(
        app: SocketAddr,
        protocol: &str,
        procs: &Path,
        connections: usize,
    ) -> (Self, SocketAddr) {
        let (reserved, admin) = nobody();
        let program = Self::launch(app, protocol, |binary| {
            let mut command = Command::new("sh");
            let enter = "echo $$ > \"$0\" && exec \"$@\"";
            command.args(["-c", enter]).arg(procs).arg(binary);
            command.args(["run", "--admin", &admin.to_string()]);
            command.args(["--max-connections", &connections.to_string()]);
            command
        });
        let program = program.await;
        drop(reserved);
        (program, admin)
    }

    /// One that signs its responses, in the cgroup of that file.
    pub async fn start_signing(app: SocketAddr, procs: &Path) -> Self {
        let keys = tempfile::tempdir().unwrap();
        let directory = keys.path().join("keys");
        let program = Self::launch(app, "http", |binary| {
            let made = Command::new(&binary)
                .args(["keys", "sign"])
                .arg("--out")
                .arg(&directory)
                .output()
                .unwrap();
            assert!(made.status.success(), "{made:?}");
            let mut command = Command::new("sh");
            let enter = "echo $$ > \"$0\" && exec \"$@\"";
            command.args(["-c", enter]).arg(procs).arg(binary);
            command.args(["run", "--admin", "none", "--signature-responses"]);
            command.arg(&directory);
            command
        });
        program.await
    }

    async fn launch(
        app: SocketAddr,
        protocol: &str,
        command: impl FnOnce(String) -> Command,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pki = TestPki::new(Algorithm::EcdsaP256);
        pki.leaf(&["localhost"]).write_to(dir.path());
        let (reserved, address) = nobody();
        #[allow(clippy::disallowed_methods, reason = "a test's own switch")]
        let binary = std::env::var("HYBRIDGE_BIN")
            .unwrap_or_else(|_| env!("CARGO_BIN_EXE_hybridge").to_owned());
        let child = command(binary)
            .args(["--protocol", protocol])
            .args([
                "--listen",
                &address.to_string(),
                "--upstream",
                &app.to_string(),
            ])
            .arg("--cert")
            .arg(dir.path().join("tls.crt"))
            .arg("--key")
            .arg(dir.path().join("tls.key"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("the program to listen", async || {
            TcpStream::connect(address).await.is_ok()
        })
        .await;
        Self {
            child,
            address,
            ca: pki.ca_pem().as_bytes().to_vec(),
            _reserved: reserved,
            _dir: dir,
        }
    }

    pub async fn connect(&self, alpn: &[&str]) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(client_config(&self.ca, alpn)))
            .connect(name, stream)
            .await
            .unwrap()
    }

    /// A line of `/proc/PID/status`, in bytes.
    pub fn memory(&self, line: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let value = status.lines().find_map(|l| l.strip_prefix(line)).unwrap();
        value
            .trim_start_matches(':')
            .trim()
            .trim_end_matches(" kB")
            .parse::<u64>()
            .unwrap()
            * 1024
    }

    /// Nothing that happened since made it grow.
    #[track_caller]
    pub fn assert_flat(&self, what: &str, before: u64) {
        let peak = self.memory("VmHWM");
        println!(
            "{what}: {} KiB resident before, {} KiB at the peak",
            before / 1024,
            peak / 1024
        );
        assert!(
            peak < before + FLAT,
            "{what}: from {before} to {peak} bytes"
        );
    }
}
