//! What is bounded on the way in: connections, handshakes, file descriptors; and who owns a port.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::openssl::Client;
use crate::support::pki::TestPki;
use crate::support::{Setup, Sidecar, answering, eventually, hello, read_head, upstream, within};
use hybridge::budget::Resources;
use hybridge::listener::{Listener, Settings, UnixSockets};
use hybridge::metrics::ListenerSockets;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// Long enough for a handshake that is not held back, many times over.
const HELD: Duration = Duration::from_millis(300);

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// An upstream that answers once there is a permit for it.
async fn answering_when(told: &Arc<Semaphore>) -> SocketAddr {
    let told = Arc::clone(told);
    upstream(move |mut stream| {
        let told = Arc::clone(&told);
        async move {
            while read_head(&mut stream).await.is_some() {
                told.acquire().await.unwrap().forget();
                stream.write_all(EMPTY).await.unwrap();
            }
        }
    })
    .await
}

pub(super) async fn is_answered(client: &mut (impl AsyncRead + Unpin)) {
    let mut answer = vec![0; EMPTY.len()];
    within(client.read_exact(&mut answer)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_above_the_limit_waits_while_all_others_have_work() {
    let told = Arc::new(Semaphore::new(0));
    let upstream = answering_when(&told).await;
    let sidecar = Setup::in_front_of(upstream)
        .limits("max-connections = 1")
        .start();
    let mut first = sidecar.connect(&["http/1.1"]).await;
    first.write_all(REQUEST).await.unwrap();
    sidecar.metric_is("hybridge_requests_open", &[], 1.0).await;
    let mut second = Box::pin(sidecar.connect(&["http/1.1"]));
    assert!(
        tokio::time::timeout(HELD, &mut second).await.is_err(),
        "two connections at once"
    );
    let open = "hybridge_connections_open";
    assert_eq!(sidecar.metric(open, &[]).await, 1.0);
    // The first has its response, and is idle then: it makes room.
    told.add_permits(2);
    is_answered(&mut first).await;
    let mut second = within(second).await;
    second.write_all(REQUEST).await.unwrap();
    is_answered(&mut second).await;
    assert_eq!(within(first.read(&mut [0])).await.unwrap(), 0);
}

/// A full listener: the one that has been idle for longest goes, in order, and the newcomer is served.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_makes_room_for_a_newcomer() {
    let sidecar = Setup::in_front_of(answering(EMPTY).await)
        .limits("max-connections = 3")
        .start();
    let mut oldest = sidecar.connect(&["http/1.1"]).await;
    oldest.write_all(REQUEST).await.unwrap();
    is_answered(&mut oldest).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let stream = sidecar.connect(&["h2"]).await;
    let (http2, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let http2 = within(http2.ready()).await.unwrap();
    let silent = TcpStream::connect(sidecar.address).await.unwrap();
    sidecar
        .metric_is("hybridge_connections_open", &[], 3.0)
        .await;
    tokio::time::sleep(Duration::from_millis(20)).await;

    let mut newcomers = Vec::new();
    for _ in 0..3 {
        let mut newcomer = sidecar.connect(&["http/1.1"]).await;
        newcomer.write_all(REQUEST).await.unwrap();
        is_answered(&mut newcomer).await;
        newcomers.push(newcomer);
    }
    // A clean end of TLS: rustls reports anything else as an error.
    assert_eq!(within(oldest.read(&mut [0])).await.unwrap(), 0);
    // GOAWAY with NO_ERROR.
    within(connection).await.unwrap().unwrap();
    drop(http2);
    let mut silent = silent;
    assert_eq!(within(silent.read(&mut [0])).await.unwrap_or(0), 0);
    let shed = "hybridge_shed_total";
    let listener = ("listener", "test");
    assert_eq!(
        sidecar.metric(shed, &[listener, ("reason", "idle")]).await,
        2.0
    );
    let half_open = [listener, ("reason", "handshake")];
    assert_eq!(sidecar.metric(shed, &half_open).await, 1.0);
    let closed = "hybridge_connections_total";
    sidecar.metric_is(closed, &[("outcome", "shed")], 3.0).await;
}

/// The same before HTTP/2 has begun, when there is no GOAWAY to send.
#[tokio::test(flavor = "multi_thread")]
async fn an_http2_client_without_a_preface_is_shed_in_order() {
    let sidecar = Setup::in_front_of(answering(EMPTY).await)
        .limits("max-connections = 1")
        .start();
    let mut silent = sidecar.connect(&["h2"]).await;
    let mut sent = Vec::new();
    let (ended, _newcomer) = within(async {
        tokio::join!(
            silent.read_to_end(&mut sent),
            sidecar.connect(&["http/1.1"])
        )
    })
    .await;
    // A close_notify: rustls reports anything else as an error.
    ended.unwrap();
}

/// A request head that trickles in is no work: a client that sends one byte a minute cannot fill a listener.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_trickles_in_makes_room() {
    let sidecar = Setup::in_front_of(answering(EMPTY).await)
        .limits("max-connections = 2")
        .start();
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut client = sidecar.connect(&["http/1.1"]).await;
        client.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
        slow.push(client);
    }
    sidecar
        .metric_is("hybridge_connections_open", &[], 2.0)
        .await;
    let mut newcomer = sidecar.connect(&["http/1.1"]).await;
    newcomer.write_all(REQUEST).await.unwrap();
    is_answered(&mut newcomer).await;
}

/// A socket that waits must not hold the permit that another socket's client needs.
#[tokio::test(flavor = "multi_thread")]
async fn the_limit_counts_connections_and_not_addresses() {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let settings = Settings {
        name: "test".to_owned(),
        setting: "--listen",
        addresses: vec![any, any, any],
        unix: UnixSockets::default(),
        max_connections: 1,
        loopback_connections: None,
        backlog: 16,
    };
    let mut listener = Listener::bind(&settings, ListenerSockets::default()).unwrap();
    let addresses = listener.addresses();
    for address in [addresses[2], addresses[0], addresses[1], addresses[1]] {
        let client = TcpStream::connect(address).await.unwrap();
        let accepted = within(listener.accept()).await;
        assert_eq!(accepted.client, client.local_addr().unwrap());
        assert!(accepted.permit.activity().begin());
        let waiting = TcpStream::connect(addresses[0]).await.unwrap();
        let mut next = Box::pin(listener.accept());
        let second = tokio::time::timeout(HELD, &mut next).await;
        assert!(second.is_err(), "two connections at once");
        drop(accepted);
        let next = within(next).await;
        assert_eq!(next.client, waiting.local_addr().unwrap());
    }
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
pub(super) struct Process {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    pub(super) sidecar: Sidecar,
}

impl Process {
    async fn start(setup: &Setup) -> Self {
        Self::start_under(setup, "true").await
    }

    /// Behind a shell's `ulimit`, which is what sets the limits in most places.
    pub(super) async fn start_under(setup: &Setup, limit: &str) -> Self {
        let (dir, pki) = (tempfile::tempdir().unwrap(), TestPki::new(setup.algorithm));
        pki.leaf(&["localhost"]).write_to(dir.path());
        let config = dir.path().join("hybridge.toml");
        std::fs::write(&config, setup.toml(&dir)).unwrap();
        let mut child = Command::new("sh")
            .args(["-c", &format!("{limit} && exec \"$0\" \"$@\"")])
            .args([env!("CARGO_BIN_EXE_hybridge"), "run", "--config"])
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

    /// Where the egress of that name listens.
    pub(super) async fn address_of(&self, egress: &str) -> SocketAddr {
        address(&self.log, &format!("listening listener={egress}")).await
    }

    /// The log so far.
    pub(super) fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// Lines of the log with this text.
    pub(super) fn said(&self, text: &str) -> usize {
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

/// The idle flood that took live connections, probes and metrics with it.
#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_leave_descriptors_for_work_and_for_the_admin_port() {
    // The clients of this test need descriptors themselves.
    Resources::raise_descriptors();
    let setup = Setup::in_front_of(answering(EMPTY).await).limits("max-connections = 20000");
    let process = Process::start_under(&setup, "ulimit -n 1024").await;
    let sidecar = &process.sidecar;
    assert_eq!(process.said("max-connections 20000 need 40"), 1);
    let mut live = sidecar.connect(&["http/1.1"]).await;
    let mut idle = Vec::new();
    for _ in 0..1004 {
        idle.push(TcpStream::connect(sidecar.address).await.unwrap());
    }
    let mut newcomer = sidecar.connect(&["http/1.1"]).await;
    for _ in 0..3 {
        newcomer.write_all(REQUEST).await.unwrap();
        is_answered(&mut newcomer).await;
        assert_eq!(within(sidecar.admin("/livez")).await.0, 200);
    }
    assert_eq!(
        sidecar.metric("hybridge_accept_errors_total", &[]).await,
        0.0
    );
    assert!(sidecar.metric("hybridge_shed_total", &[]).await > 500.0);
    assert_eq!(process.said("accept failed"), 0);
    // Idle for longest, so it made room; in order.
    assert_eq!(within(live.read(&mut [0])).await.unwrap(), 0);
}

/// Who writes the number of the default means it.
#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_is_written_is_warned_about_and_a_default_is_not() {
    for (limits, warnings) in [("max-connections = 10000", 1), ("", 0)] {
        let setup = Setup::in_front_of(answering(EMPTY).await).limits(limits);
        let process = Process::start_under(&setup, "ulimit -n 1024").await;
        assert_eq!(process.said("max-connections 10000 need 20"), warnings);
    }
}

/// The soft limit is low by tradition; the hard one is what the operator allows.
#[tokio::test(flavor = "multi_thread")]
async fn the_soft_limit_of_descriptors_is_raised_to_the_hard_one() {
    let setup = Setup::in_front_of(answering(EMPTY).await).limits("max-connections = 300");
    let process = Process::start_under(&setup, "ulimit -Sn 64 && ulimit -Hn 2048").await;
    assert_eq!(process.said("max-connections"), 0);
    let most = process.sidecar.metric("process_max_fds", &[]).await;
    assert_eq!(most, 2048.0);
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
    eventually("a warning", async || {
        process.said("accept failed, backing off") > 0
    })
    .await;
    tokio::time::sleep(HELD).await;
    let said = process.said("accept failed, backing off");
    // One for each listener, and no other for seconds.
    assert!(said <= 2, "{said} warnings");

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
    // 5 ms, doubled each time: about six in the first 300 ms; a loop that spins counts thousands.
    assert!((1.0..100.0).contains(&counted), "{counted} errors");
}
