//! The built binary as a process of its own: started, signalled, waited for, its log read.
#![allow(dead_code)]

use std::net::SocketAddr;
use std::ops::Deref;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::pki::{Pair, TestPki};
use crate::support::{Setup, Sidecar, eventually, within};

/// A running `hybridge run`; killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// The process that gets the signals.
    pid: Pid,
    log: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
    /// Whether the reader reads on.
    reading: watch::Sender<bool>,
    sidecar: Sidecar,
}

impl Deref for Process {
    type Target = Sidecar;

    fn deref(&self) -> &Sidecar {
        &self.sidecar
    }
}

impl Process {
    /// Starts the binary and waits until it listens.
    pub(crate) async fn start(setup: &Setup) -> Self {
        let pki = TestPki::new(setup.algorithm);
        let leaf = pki.leaf(&["localhost", "127.0.0.1"]);
        Self::start_with(setup, pki, &leaf, &[]).await.unwrap()
    }

    /// Starts the binary with a certificate of choice, behind another command such as `unshare`;
    /// what it said if it ended before it listened.
    pub(crate) async fn start_with(
        setup: &Setup,
        pki: TestPki,
        leaf: &Pair,
        wrapper: &[&str],
    ) -> Result<Self, String> {
        let dir = tempfile::tempdir().unwrap();
        leaf.write_to(dir.path());
        let config = dir.path().join("hybridge.toml");
        std::fs::write(&config, setup.toml(&dir)).unwrap();
        let config = config.display().to_string();
        Self::launch(wrapper, &["--config", &config], (pki, dir)).await
    }

    /// Starts the binary without a configuration file.
    pub(crate) async fn start_by_flags(upstream: SocketAddr, pki: TestPki, leaf: &Pair) -> Self {
        let dir = tempfile::tempdir().unwrap();
        leaf.write_to(dir.path());
        let file = |name: &str| dir.path().join(name).display().to_string();
        let (cert, key, upstream) = (file("tls.crt"), file("tls.key"), upstream.to_string());
        let flags = ["--upstream", &upstream, "--cert", &cert, "--key", &key];
        let any = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let flags = [&flags[..], &any[..]].concat();
        Self::launch(&[], &flags, (pki, dir)).await.unwrap()
    }

    async fn launch(
        wrapper: &[&str],
        flags: &[&str],
        (pki, dir): (TestPki, TempDir),
    ) -> Result<Self, String> {
        let mut child = spawn(wrapper, flags);
        let (reading, read) = watch::channel(true);
        let (log, reader) = collect_log(&mut child, read);
        eventually("the process to listen or to end", async || {
            let ended = child.try_wait().unwrap().is_some() && reader.is_finished();
            ended || log.lock().unwrap().contains("admin port")
        })
        .await;
        let (address, admin) = (
            address_of(&log, "listening"),
            address_of(&log, "admin port"),
        );
        let (Some(address), Some(admin)) = (address, admin) else {
            return Err(log.lock().unwrap().clone());
        };
        let outer = child.id().unwrap();
        let pid = if wrapper.is_empty() {
            outer
        } else {
            only_child(outer)
        };
        Ok(Self {
            pid: Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(),
            child,
            log,
            reader,
            reading,
            sidecar: sidecar(pki, dir, address, admin),
        })
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// Reads its standard error no longer: what it writes from now on meets a closed pipe.
    pub(crate) async fn close_log(&mut self) {
        self.reader.abort();
        let _ = (&mut self.reader).await;
    }

    /// Reads its standard error, or leaves in the pipe what it writes from now on.
    pub(crate) fn read_log(&self, read: bool) {
        self.reading.send_replace(read);
    }

    /// Waits for its end, which needs no reader of its log.
    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        within(self.child.wait()).await.unwrap().code()
    }

    /// Where apps connect to one of its egresses, by its place in the configuration.
    pub(crate) async fn egress(&self, index: usize) -> SocketAddr {
        let (_, page) = self.admin("/status").await;
        let status: serde_json::Value = serde_json::from_str(&page).unwrap();
        let address = status["egresses"][index]["addresses"][0].as_str().unwrap();
        address.parse().unwrap()
    }

    /// What it wrote to standard error so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) async fn logs(&self, text: &str) {
        eventually(&format!("`{text}` in the log"), async || {
            self.log().contains(text)
        })
        .await;
    }

    /// Waits for its end: the exit code, and the whole log.
    pub(crate) async fn ended(mut self) -> (Option<i32>, String) {
        let code = self.exit_code().await;
        // The task that reads the log ends with the pipe.
        eventually("the log to end", async || Arc::strong_count(&self.log) == 1).await;
        (code, self.log())
    }

    /// Waits until it is not ready any more.
    pub(crate) async fn not_ready(&self) {
        eventually("readiness to go", async || {
            self.admin("/readyz").await.0 == 503
        })
        .await;
    }

    /// Waits until it refuses connections.
    pub(crate) async fn refuses(&self) {
        eventually("connections to be refused", async || {
            tokio::net::TcpStream::connect(self.address).await.is_err()
        })
        .await;
    }
}

fn spawn(wrapper: &[&str], flags: &[&str]) -> Child {
    let binary = env!("CARGO_BIN_EXE_hybridge");
    let mut words = wrapper.iter().copied().chain([binary]);
    Command::new(words.next().unwrap())
        .args(words)
        .args(["run", "--log-level", "debug"])
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

fn collect_log(
    child: &mut Child,
    mut read: watch::Receiver<bool>,
) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let log = Arc::new(Mutex::new(String::new()));
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let collected = Arc::clone(&log);
    let reader = tokio::spawn(async move {
        while read.wait_for(|read| *read).await.is_ok()
            && let Ok(Some(line)) = lines.next_line().await
        {
            let mut log = collected.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
    (log, reader)
}

/// The first address of the field `addresses`, text or JSON, in the line that says `what`.
fn address_of(log: &Mutex<String>, what: &str) -> Option<SocketAddr> {
    let log = log.lock().unwrap();
    let line = log.lines().find(|line| line.contains(what))?;
    let (_, rest) = line.split_once("addresses")?;
    let rest = rest.trim_start_matches(['"', '=', ':', '[']);
    rest.split([',', ']', '"']).next()?.parse().ok()
}

fn only_child(pid: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.trim().parse().unwrap()
}

fn sidecar(pki: TestPki, dir: TempDir, address: SocketAddr, admin: SocketAddr) -> Sidecar {
    Sidecar {
        address,
        admin,
        ca: pki.ca_pem().as_bytes().to_vec(),
        running: None,
        pki,
        dir,
    }
}
