//! Hellos that are followed by silence: a limit bounds waiting, not work, and when it is reached the
//! oldest of the source that has most of them goes. The figures: `cargo test --profile quick --test
//! torture -- --ignored --nocapture NAME`, of those that are ignored here.

use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use hybridge::certgen::Algorithm;
use rustix::process::setpriority_process;
use rustix::thread::{CpuSet, sched_setaffinity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::support::process::Process;
use crate::support::{Setup, Sidecar, answering, client_config, connect, hello, within};

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const FAILED: &str = "hybridge_handshake_failures_total";
const SHED: &str = "hybridge_shed_total";
/// Another /24 of this machine.
const ELSEWHERE: [u8; 4] = [127, 0, 9, 9];

/// A client that has sent its hello and got the server's flight, from an address of choice.
async fn half_open(to: SocketAddr, from: [u8; 4]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    stream.write_all(&hello::hybrid()).await.unwrap();
    within(stream.read_u8()).await.unwrap();
    stream
}

async fn is_closed(stream: &mut TcpStream) {
    let _ = within(stream.read_to_end(&mut Vec::new())).await;
}

async fn limited(limit: usize) -> Sidecar {
    Setup::in_front_of(answering(EMPTY).await)
        .tls(&format!("max-handshakes = {limit}"))
        .start()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_does_not_wait_for_those_that_wait_for_their_client() {
    let sidecar = limited(1).await;
    let mut silent = half_open(sidecar.address, [127, 0, 0, 1]).await;
    within(sidecar.connect(&["http/1.1"])).await;
    is_closed(&mut silent).await;
    let reason = [("reason", "half_open_handshakes"), ("listener", "test")];
    sidecar.metric_reaches(SHED, &reason, 1.0).await;
    assert_eq!(sidecar.metric(FAILED, &[("reason", "shed")]).await, 1.0);
    let outcome = [("outcome", "handshake_failed")];
    let closed = "hybridge_connections_total";
    assert_eq!(sidecar.metric(closed, &outcome).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_that_waits_most_gives_way_and_the_others_stay() {
    let sidecar = limited(4).await;
    let mut honest = half_open(sidecar.address, [127, 0, 0, 1]).await;
    let mut flood = Vec::new();
    for _ in 0..8 {
        flood.push(half_open(sidecar.address, ELSEWHERE).await);
    }
    for stream in &mut flood[..5] {
        is_closed(stream).await;
    }
    sidecar.metric_reaches(SHED, &[], 5.0).await;
    // The honest client was the oldest of all the time, and is still waited for.
    honest.write_all(&[20, 3, 3, 0, 1, 1]).await.unwrap();
    honest
        .write_all(&[
            23, 3, 3, 0, 17, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
        ])
        .await
        .unwrap();
    is_closed(&mut honest).await;
    // By its forged Finished, or on a busy machine by its deadline; not for another's sake.
    sidecar.metric_reaches(FAILED, &[], 6.0).await;
    assert_eq!(sidecar.metric(SHED, &[]).await, 5.0);
}

/// Half a hello is a handshake that waits for its client too.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_hello_gives_way_as_well() {
    let sidecar = limited(2).await;
    let mut begun = Vec::new();
    for _ in 0..5 {
        let mut stream = TcpStream::connect(sidecar.address).await.unwrap();
        stream.write_all(&hello::hybrid()[..700]).await.unwrap();
        begun.push(stream);
    }
    sidecar.metric_reaches(SHED, &[], 3.0).await;
    within(sidecar.connect(&["http/1.1"])).await;
}

/// A flood makes one line a second, not one a connection.
#[tokio::test(flavor = "multi_thread")]
async fn shed_handshakes_are_counted_each_and_logged_now_and_then() {
    let setup = Setup::in_front_of(answering(EMPTY).await).tls("max-handshakes = 1");
    let process = Process::start(&setup).await;
    let begin = Instant::now();
    for _ in 0..100 {
        half_open(process.address, ELSEWHERE).await;
    }
    // The clients leave at once: some go by themselves.
    process.metric_reaches(FAILED, &[], 100.0).await;
    let lines = process.log().matches("reason=\"shed\"").count();
    let most = begin.elapsed().as_secs() as usize + 2;
    assert!(lines <= most, "{lines} lines in {:?}", begin.elapsed());
}

/// The deadline of a flight is shorter than that of the whole handshake.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_five_seconds_from_the_server_hello_to_its_finished() {
    let sidecar = Setup::in_front_of(answering(EMPTY).await)
        .tls("handshake-timeout = \"60s\"")
        .start();
    let begin = Instant::now();
    let mut silent = half_open(sidecar.address, [127, 0, 0, 1]).await;
    is_closed(&mut silent).await;
    assert!(begin.elapsed() > Duration::from_secs(4));
    sidecar
        .metric_reaches(FAILED, &[("reason", "timeout")], 1.0)
        .await;
}

/// Silent hellos at a steady rate, from a thread of their own: they share nothing with the clients whose
/// time is taken. They end when this is dropped.
struct Flood {
    thread: Option<std::thread::JoinHandle<()>>,
    end: Option<oneshot::Sender<()>>,
}

impl Flood {
    /// From another /24 or from the honest clients' own.
    fn start(to: SocketAddr, rate: u32, from: [u8; 4], apart: bool) -> Self {
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            if apart {
                keep_to(|processor| processor == GENERATOR);
                let _ = setpriority_process(None, 0);
            }
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                tokio::select! {
                    _ = ended => {}
                    () = send_hellos(to, rate, from) => {}
                }
            });
        });
        Self {
            thread: Some(thread),
            end: Some(end),
        }
    }
}

/// Clients come from other machines: where figures are taken, they have this processor and sidecars the others.
const GENERATOR: usize = 0;

/// Before any thread was kept to some of them.
static PROCESSORS: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(1, NonZero::get));

/// Keeps this thread, and what it starts from now on, to some processors, if there are any such.
fn keep_to(wanted: impl Fn(usize) -> bool) {
    let mut kept = CpuSet::new();
    let wanted = (0..*PROCESSORS).filter(|processor| wanted(*processor));
    wanted.for_each(|processor| kept.set(processor));
    if kept.count() > 0 {
        sched_setaffinity(None, &kept).unwrap();
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        drop(self.end.take());
        let ended = self
            .thread
            .take()
            .is_none_or(|thread| thread.join().is_ok());
        assert!(ended || std::thread::panicking(), "the flood panicked");
    }
}

async fn send_hellos(to: SocketAddr, rate: u32, from: [u8; 4]) {
    let (bytes, mut open) = (hello::hybrid(), JoinSet::new());
    let mut due = tokio::time::interval(Duration::from_secs(1) / rate);
    loop {
        due.tick().await;
        let bytes = bytes.clone();
        open.spawn(async move {
            let socket = TcpSocket::new_v4().unwrap();
            let _ = socket.bind((from, 0).into());
            let Ok(mut stream) = socket.connect(to).await else {
                return;
            };
            let _ = stream.write_all(&bytes).await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        while open.try_join_next().is_some() {}
    }
}

/// Times of honest handshakes, one after another, sorted; none may fail.
async fn honest(sidecar: &Sidecar, count: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..count {
        let begin = Instant::now();
        let config = client_config(&sidecar.ca, &["http/1.1"]);
        within(connect(sidecar.address, config)).await.unwrap();
        times.push(begin.elapsed());
    }
    times.sort();
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_clients_get_through_a_flood_of_silent_hellos() {
    for from in [ELSEWHERE, [127, 0, 0, 1]] {
        let sidecar = limited(32).await;
        let flooding = Flood::start(sidecar.address, 200, from, false);
        sidecar.metric_reaches(SHED, &[], 50.0).await;
        // A second each would be the end of any client's patience; the machine may be busy.
        let times = honest(&sidecar, 50).await;
        assert!(times[25] < Duration::from_secs(1), "{times:?}");
        drop(flooding);
    }
}

/// Prints what honest handshakes take: idle, beside a flood of another process of the same size, and under
/// the flood. The second is what the machine loses to a flood that this sidecar never sees.
async fn figures(setup: &Setup, what: &str, rate: impl Fn(f64) -> u32) {
    keep_to(|processor| processor != GENERATOR);
    let (process, other) = (Process::start(setup).await, Process::start(setup).await);
    // Honest clients share a machine with the flood only here: they go before it, if that may be asked for.
    keep_to(|processor| processor == GENERATOR);
    let _ = setpriority_process(None, -15);
    honest(&process, 50).await;
    let idle = honest(&process, 500).await;
    let compute = "hybridge_handshake_compute_seconds";
    let spent = process.metric(&format!("{compute}_sum"), &[]).await;
    let rate = rate(process.metric(&format!("{compute}_count"), &[]).await / spent);
    let flooding = Flood::start(other.address, rate, ELSEWHERE, true);
    // Until as many wait as will.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let beside = honest(&process, 500).await;
    drop(flooding);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let flooding = Flood::start(process.address, rate, ELSEWHERE, true);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let under = honest(&process, 500).await;
    let shed = process.metric(SHED, &[]).await;
    drop(flooding);
    let at = |times: &[Duration], percent: usize| times[times.len() * percent / 100 - 1];
    let row = |times: &[Duration]| format!("p50 {:?} p99 {:?}", at(times, 50), at(times, 99));
    let ratio = |times: &[Duration]| at(&under, 99).as_secs_f64() / at(times, 99).as_secs_f64();
    println!(
        "{what}, {rate} a second: idle {}; beside {}; under {}; p99 {:.2} of idle, {:.2} of beside; shed {shed}",
        row(&idle),
        row(&beside),
        row(&under),
        ratio(&idle),
        ratio(&beside),
    );
}

#[tokio::test]
#[ignore = "figures"]
async fn silent_hellos() {
    let setup = Setup::in_front_of(answering(EMPTY).await);
    for rate in [150, 600, 2_000] {
        figures(&setup, "silent hellos", |_| rate).await;
    }
}

/// Of RSA handshakes, so that a generator on the same machine can send five times what one worker computes.
#[tokio::test]
#[ignore = "figures"]
async fn five_times_the_capacity() {
    let setup = Setup::in_front_of(answering(EMPTY).await);
    let costly = setup.process("workers = 1").algorithm(Algorithm::Rsa2048);
    let fivefold = |capacity: f64| (5.0 * capacity) as u32;
    figures(&costly, "five times the capacity", fivefold).await;
}

/// Prints what honest handshakes take idle, and while the admin port has 260 idle connections and gets thirty
/// more a second.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "figures"]
async fn idle_admin_connections() {
    let setup = Setup::in_front_of(answering(EMPTY).await);
    let process = Process::start(&setup).await;
    honest(&process, 50).await;
    let idle = honest(&process, 500).await;
    let admin = process.admin;
    let mut held = Vec::new();
    for _ in 0..260 {
        held.push(TcpStream::connect(admin).await.unwrap());
    }
    let mut newcomers = JoinSet::new();
    newcomers.spawn(async move {
        let mut due = tokio::time::interval(Duration::from_secs(1) / 30);
        loop {
            due.tick().await;
            held.push(TcpStream::connect(admin).await.unwrap());
        }
    });
    let under = honest(&process, 500).await;
    let at = |times: &[Duration]| times[times.len() * 99 / 100 - 1];
    let ratio = at(&under).as_secs_f64() / at(&idle).as_secs_f64();
    println!(
        "260 idle admin connections and 30 a second: p99 {:?} -> {:?}, ratio {ratio:.2}",
        at(&idle),
        at(&under)
    );
}
