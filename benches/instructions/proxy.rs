//! The proxy as a process of its own with one worker, plain or under callgrind, and its proper end:
//! callgrind writes its counts when the process exits.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use hybridge::certgen::Algorithm;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::http::nobody;
use crate::support::pki::TestPki;
use crate::support::{client_config, connect};

/// How long the start and the end may take: under valgrind, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// AWS-LC gathers entropy from the jitter of the clock when it starts: most instructions of a start, and never the
/// same number.
const UNCOUNTED: [&str; 2] = [
    "--toggle-collect=*jent_measure_jitter",
    "--collect-atstart=yes",
];

/// What is started, and how.
pub(crate) struct Run<'a> {
    pub(crate) binary: &'a Path,
    /// Where callgrind writes; without it the proxy runs by itself.
    pub(crate) counts: Option<&'a Path>,
    pub(crate) app: SocketAddr,
    pub(crate) protocol: &'a str,
    /// Of an egress: the PEM certificate of the CA that it trusts, and its other settings of TLS.
    pub(crate) egress: Option<(&'a str, String)>,
}

/// A running `hybridge run`; killed if it is dropped before its end.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) address: SocketAddr,
    ca: Vec<u8>,
    dir: TempDir,
    _reserved: socket2::Socket,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    /// Starts it and waits until it listens.
    pub(crate) async fn start(run: &Run<'_>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pki = TestPki::new(Algorithm::EcdsaP256);
        pki.leaf(&["localhost"]).write_to(dir.path());
        let (reserved, address) = nobody();
        let child = command(run, address, dir.path()).spawn().unwrap();
        let mut proxy = Self {
            child,
            address,
            ca: pki.ca_pem().as_bytes().to_vec(),
            dir,
            _reserved: reserved,
        };
        proxy.listens().await;
        proxy
    }

    async fn listens(&mut self) {
        let polling = async {
            while TcpStream::connect(self.address).await.is_err() {
                if let Some(status) = self.child.try_wait().unwrap() {
                    panic!(
                        "the proxy ended before it listened: {status}\n{}",
                        self.log()
                    );
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let listening = tokio::time::timeout(PATIENCE, polling).await;
        assert!(
            listening.is_ok(),
            "the proxy does not listen\n{}",
            self.log()
        );
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) async fn connect(&self, alpn: &[&str]) -> TlsStream<TcpStream> {
        connect(self.address, client_config(&self.ca, alpn))
            .await
            .unwrap()
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn end(mut self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
        let polling = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let status: Option<ExitStatus> = tokio::time::timeout(PATIENCE, polling).await.ok();
        assert!(
            status.is_some_and(|status| status.success()),
            "the proxy did not end well: {status:?}\n{}",
            self.log()
        );
    }

    /// What it and valgrind wrote to standard error.
    fn log(&self) -> String {
        std::fs::read_to_string(log_file(self.dir.path())).unwrap_or_default()
    }
}

fn log_file(dir: &Path) -> PathBuf {
    dir.join("log")
}

fn command(run: &Run<'_>, address: SocketAddr, dir: &Path) -> Command {
    let mut words: Vec<OsString> = Vec::new();
    if let Some(counts) = run.counts {
        let mut out = OsString::from("--callgrind-out-file=");
        out.push(counts);
        words.extend(["valgrind".into(), "--tool=callgrind".into(), out]);
        words.extend(UNCOUNTED.map(OsString::from));
    }
    words.push(run.binary.into());
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .args(["run", "--workers", "1", "--admin", "none"])
        .args(["--drain-delay", "0s"])
        .args(side(run, address, dir))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(log_file(dir)).unwrap());
    command
}

/// A listener in front of the app, or an egress in front of the server.
fn side(run: &Run<'_>, address: SocketAddr, dir: &Path) -> Vec<OsString> {
    let Some((ca, tls)) = &run.egress else {
        let listener = [
            ["--protocol", run.protocol],
            ["--listen", &address.to_string()],
            ["--upstream", &run.app.to_string()],
        ];
        let mut words: Vec<OsString> = listener.concat().iter().map(OsString::from).collect();
        words.extend(["--cert".into(), dir.join("tls.crt").into()]);
        words.extend(["--key".into(), dir.join("tls.key").into()]);
        return words;
    };
    let (ca_file, file) = (dir.join("ca.crt"), dir.join("egress.toml"));
    std::fs::write(&ca_file, ca).unwrap();
    let (target, ca_file) = (run.app, ca_file.display());
    let text = format!(
        "[[egress]]\nname = \"out\"\nlisten = \"{address}\"\ntarget = \"{target}\"\n[egress.tls]\nca = \"{ca_file}\"\n{tls}"
    );
    std::fs::write(&file, text).unwrap();
    vec!["--config".into(), file.into()]
}
