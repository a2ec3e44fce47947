//! A server process of the tool's own: started on its cores, awaited, heard out when it fails, ended with its owner.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener as StdListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;

use super::cores::Cores;
use crate::error::{Error, Result};
use crate::observe::machine;

/// A started server must respond by then.
const START: Duration = Duration::from_secs(20);
/// A server that gets SIGTERM has this long to clean up after itself.
const END: Duration = Duration::from_secs(5);
/// Lines of its output that are kept for an error message.
const KEPT: usize = 8;

type Log = Arc<Mutex<VecDeque<String>>>;

/// A child process that ends with its owner: by SIGTERM, and killed where it does not.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// What it is called in messages.
    name: &'static str,
    /// Its last lines of output, both streams.
    log: Log,
    /// Lines `CA: <path>` of its output.
    ca: Receiver<PathBuf>,
    /// Where its configuration and throw-away keys lie; removed at the end.
    folder: Option<PathBuf>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.terminate();
        // Already gone is as good.
        self.child.kill().ok();
        self.child.wait().ok();
        if let Some(folder) = &self.folder {
            std::fs::remove_dir_all(folder).ok();
        }
    }
}

impl Server {
    /// Starts a child on the servers' cores: it inherits the binding of the thread that starts it.
    pub(super) fn start(
        name: &'static str,
        mut command: Command,
        cores: &Cores,
        folder: Option<PathBuf>,
    ) -> Result<Self> {
        let bind = |cores: &[usize]| {
            if cores.is_empty() {
                Ok(())
            } else {
                machine::pin(cores)
            }
        };
        let pinned = Error::system("binding to a core");
        bind(&cores.server).map_err(pinned)?;
        let child = command
            // Signals of the terminal are for the tool: a server that Ctrl-C ended would fail the block under way.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        bind(&cores.generator).map_err(pinned)?;
        let mut child = child.map_err(|error| {
            Error::Process(format!(
                "{} could not be started: {error}",
                command.get_program().display()
            ))
        })?;
        let (found, ca) = channel();
        let log = Log::default();
        hear(child.stdout.take(), &log, Some(found));
        hear(child.stderr.take(), &log, None);
        Ok(Self {
            child,
            name,
            log,
            ca,
            folder,
        })
    }

    /// Sends SIGTERM and waits: the demo removes its throw-away keys before it ends.
    fn terminate(&mut self) {
        let signalled = Pid::from_raw(self.child.id().cast_signed())
            .is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        let deadline = Instant::now() + END;
        while signalled && Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The path in its line `CA: <path>`.
    pub(super) fn ca(&self) -> Result<PathBuf> {
        // The channel also ends when its output does.
        self.ca
            .recv_timeout(START)
            .map_err(|_| self.failed("did not name its CA in a line `CA: <path>`"))
    }

    /// Waits until it listens on all of these ports.
    pub(super) async fn listening(&mut self, ports: &[u16]) -> Result<()> {
        let deadline = Instant::now() + START;
        for port in ports {
            while TcpStream::connect(("127.0.0.1", *port)).await.is_err() {
                if let Some(status) = self.child.try_wait().ok().flatten() {
                    return Err(self.failed(&format!("ended at once ({status})")));
                }
                if Instant::now() > deadline {
                    return Err(
                        self.failed(&format!("does not listen on port {port} after {START:?}"))
                    );
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    fn failed(&self, how: &str) -> Error {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let said: Vec<_> = log.iter().map(String::as_str).collect();
        let said = if said.is_empty() {
            "it said nothing".to_owned()
        } else {
            format!("it said: {}", said.join(" | "))
        };
        Error::Process(format!("{} {how}; {said}", self.name))
    }
}

/// Reads a stream to its end, since a full pipe would stop the server.
fn hear(stream: Option<impl Read + Send + 'static>, log: &Log, ca: Option<Sender<PathBuf>>) {
    let Some(stream) = stream else { return };
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(stream)
            .lines()
            .map_while(std::result::Result::ok)
        {
            if let (Some(ca), Some(path)) = (&ca, line.trim().strip_prefix("CA:")) {
                // Nobody waits for a second one.
                ca.send(PathBuf::from(path.trim())).ok();
            }
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            if log.len() == KEPT {
                log.pop_front();
            }
            log.push_back(line);
        }
    });
}

/// Three ports nobody listens on at this moment.
pub(super) fn free_ports() -> Result<[u16; 3]> {
    let bind = || {
        let held = [0; 3].map(|_| StdListener::bind(("127.0.0.1", 0)));
        let mut ports = [0; 3];
        for (port, listener) in ports.iter_mut().zip(held) {
            *port = listener?.local_addr()?.port();
        }
        Ok(ports)
    };
    bind().map_err(Error::system("no free port on 127.0.0.1"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A shell that says `CA: x` when its trap is set.
    fn shell(script: &str) -> Server {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let server = Server::start("shell", command, &Cores::default(), None).unwrap();
        server.ca().unwrap();
        server
    }

    #[test]
    fn a_server_is_asked_to_end_and_may_clean_up() {
        let trace = std::env::temp_dir().join(format!("asked-to-end-{}", std::process::id()));
        std::fs::write(&trace, "x").unwrap();
        let server = shell(&format!(
            "trap 'rm {}; exit 0' TERM; echo CA: x; while :; do sleep 0.01; done",
            trace.display()
        ));
        drop(server);
        assert!(!trace.exists());
    }

    #[test]
    fn signals_of_the_terminal_do_not_reach_a_server() {
        let server = shell("echo CA: x; while :; do sleep 0.01; done");
        let pid = Pid::from_raw(server.pid().cast_signed());
        assert_eq!(rustix::process::getpgid(pid).unwrap(), pid.unwrap());
    }

    #[test]
    fn a_server_that_does_not_listen_is_killed() {
        let server = shell("trap '' TERM; echo CA: x; while :; do sleep 0.01; done");
        let proc = PathBuf::from(format!("/proc/{}", server.pid()));
        assert!(proc.exists());
        drop(server);
        assert!(!proc.exists());
    }
}
