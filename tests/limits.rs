//! What is bounded on the way in: connections, handshakes, file descriptors; and who owns a port.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::float_cmp)]

mod support;

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hybridge::drain::Drain;
use hybridge::listener::{Listener, Settings};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use socket2::{Domain, Socket, Type};
use support::openssl::Client;
use support::pki::TestPki;
use support::{Setup, Sidecar, answering, eventually, hello, within};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// Long enough for a handshake that is not held back, many times over.
const HELD: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_above_the_limit_waits_for_a_place() {
    let setup = Setup::in_front_of(answering(EMPTY).await).limits("max-connections = 1");
    let sidecar = setup.start();
    let first = sidecar.connect(&["http/1.1"]).await;
    let mut second = Box::pin(sidecar.connect(&["http/1.1"]));
    assert!(
        tokio::time::timeout(HELD, &mut second).await.is_err(),
        "two connections at once"
    );
    let open = "hybridge_connections_open";
    assert_eq!(sidecar.metric(open, &[]).await, 1.0);
    drop(first);
    let mut second = within(second).await;
    second
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut answer = vec![0; EMPTY.len()];
    within(second.read_exact(&mut answer)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
}

/// A socket that waits must not hold the place that another socket's client needs.
#[tokio::test(flavor = "multi_thread")]
async fn the_limit_counts_connections_and_not_addresses() {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(&Settings {
        name: "test".to_owned(),
        addresses: vec![any, any, any],
        max_connections: 1,
        backlog: 16,
    })
    .unwrap();
    let addresses = listener.addresses();
    let drain = Drain::default();
    let (sender, mut accepted) = tokio::sync::mpsc::unbounded_channel();
    let on_accept = move |stream, client, place| {
        let _ = sender.send((stream, client, place));
    };
    let accepting = listener.run(drain.watch(), on_accept, |reason| panic!("{reason}"));
    tokio::spawn(accepting);
    for address in [addresses[2], addresses[0], addresses[1], addresses[1]] {
        let client = TcpStream::connect(address).await.unwrap();
        let waiting = TcpStream::connect(addresses[0]).await.unwrap();
        let (stream, peer, place) = within(accepted.recv()).await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        let second = tokio::time::timeout(HELD, accepted.recv()).await;
        assert!(second.is_err(), "two connections at once");
        drop((stream, place));
        let (_, peer, _) = within(accepted.recv()).await.unwrap();
        assert_eq!(peer, waiting.local_addr().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_above_the_limit_waits_for_its_turn() {
    let setup = Setup::in_front_of(answering(EMPTY).await).tls("max-handshakes = 1");
    let sidecar = setup.start();
    let mut busy = TcpStream::connect(sidecar.address).await.unwrap();
    busy.write_all(&hello::hybrid()).await.unwrap();
    within(busy.read_u8()).await.unwrap();
    let mut waiting = Box::pin(sidecar.connect(&["http/1.1"]));
    assert!(
        tokio::time::timeout(HELD, &mut waiting).await.is_err(),
        "two handshakes at once"
    );
    drop(busy);
    within(waiting).await;
}

/// A client that stalls loses its place with its deadline.
#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_handshake_gives_its_place_back() {
    let setup = Setup::in_front_of(answering(EMPTY).await)
        .tls("max-handshakes = 1\nhandshake-timeout = \"2s\"");
    let sidecar = setup.start();
    let mut busy = TcpStream::connect(sidecar.address).await.unwrap();
    busy.write_all(&hello::hybrid()).await.unwrap();
    within(busy.read_to_end(&mut Vec::new())).await.unwrap();
    let timeouts = [("reason", "timeout")];
    let failed = "hybridge_handshake_failures_total";
    sidecar.metric_reaches(failed, &timeouts, 1.0).await;
    sidecar.connect(&["http/1.1"]).await;
}

/// An app that binds with SO_REUSEPORT must not be able to share the port, or traffic would go
/// past the sidecar, in plaintext, by chance.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_can_bind_the_port() {
    let sidecar = Setup::in_front_of(answering(EMPTY).await).start();
    for address in [sidecar.address, sidecar.admin] {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.set_reuse_port(true).unwrap();
        let error = match socket.bind(&address.into()) {
            Ok(()) => socket.listen(1).unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse, "{address}");
    }
}

/// `hybridge run` as a process of its own; killed when dropped.
struct Process {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    sidecar: Sidecar,
}

impl Process {
    async fn start(setup: &Setup) -> Self {
        let (dir, pki) = (tempfile::tempdir().unwrap(), TestPki::new(setup.algorithm));
        pki.leaf(&["localhost"]).write_to(dir.path());
        let config = dir.path().join("hybridge.toml");
        std::fs::write(&config, setup.toml(&dir)).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_hybridge"))
            .args(["run", "--config"])
            .arg(config)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let collected = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                collected.lock().unwrap().push(line);
            }
        });
        let sidecar = Sidecar {
            address: address(&log, "listening").await,
            admin: address(&log, "admin port").await,
            ca: pki.ca_pem().as_bytes().to_vec(),
            running: None,
            pki,
            dir,
        };
        Self {
            child,
            log,
            sidecar,
        }
    }

    /// Lines of the log with this text.
    fn said(&self, text: &str) -> usize {
        let log = self.log.lock().unwrap();
        log.iter().filter(|line| line.contains(text)).count()
    }
}

/// The first of `addresses=[…]` in the line that says `what`, once it is there.
async fn address(log: &Mutex<Vec<String>>, what: &str) -> SocketAddr {
    let mut found = None;
    eventually(what, async || {
        let log = log.lock().unwrap();
        let line = log.iter().find(|line| line.contains(what));
        found = line.and_then(|line| {
            let (_, rest) = line.split_once("addresses=[")?;
            rest.split([',', ']']).next()?.parse().ok()
        });
        found.is_some()
    })
    .await;
    found.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn running_out_of_file_descriptors_is_survived_and_counted() {
    let process = Process::start(&Setup::in_front_of(answering(EMPTY).await)).await;
    let pid = i32::try_from(process.child.id().unwrap()).unwrap();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count() as u64;
    let limit = Rlimit {
        current: Some(open + 2),
        maximum: Some(open + 2),
    };
    prlimit(Pid::from_raw(pid), Resource::Nofile, limit).unwrap();

    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(TcpStream::connect(process.sidecar.address).await.unwrap());
    }
    eventually("several accept errors", async || {
        process.said("accept failed, backing off") >= 3
    })
    .await;
    let holding = std::time::Instant::now();
    tokio::time::sleep(HELD).await;
    let said = process.said("accept failed, backing off");
    // 5 ms, doubled each time: six in the first 300 ms, then fewer and fewer.
    let most = 8 + holding.elapsed().as_millis() as usize / 100;
    assert!(said <= most, "{said} errors: the loop spins");

    drop(clients);
    let client = Client::new();
    within(client.connect(process.sidecar.address))
        .await
        .unwrap();
    let reason = [("reason", "process_file_limit"), ("listener", "test")];
    let counted = process
        .sidecar
        .metric("hybridge_accept_errors_total", &reason)
        .await;
    assert!(counted >= said as f64, "{counted} of {said}");
}
