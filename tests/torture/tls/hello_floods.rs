//! Complete hellos, many more than can be computed at once: other work and other sources go in between.
//! Client and sidecar share one thread, so that what was sent before an `await` is there before the
//! sidecar looks. What is asserted are counts, not times.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::panics::Panicking;
use crate::support::{Setup, Sidecar, answering, eventually, hello, within};

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const SHED: &str = "hybridge_shed_total";
const QUEUED: (&str, &str) = ("reason", "queued_handshakes");
/// Another /24 than that of the honest clients, which is 127.0.0.0/24.
const ELSEWHERE: [u8; 4] = [127, 0, 1, 1];
const FLOOD: usize = 300;

async fn one_worker(tls: &str) -> Sidecar {
    Setup::in_front_of(answering(EMPTY).await)
        .tls(tls)
        .process("workers = 1")
        .start()
}

/// Connections with a complete hello each, left in the kernel's queue.
fn hellos(to: SocketAddr, count: usize) -> Vec<TcpStream> {
    let bytes = hello::hybrid();
    let connected = || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let from = SocketAddr::from((ELSEWHERE, 0));
        socket.bind(&from.into()).unwrap();
        socket.connect(&to.into()).unwrap();
        let mut stream = TcpStream::from(socket);
        stream.write_all(&bytes).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    };
    (0..count).map(|_| connected()).collect()
}

/// How many got the server's flight.
fn answered(flood: &[TcpStream]) -> usize {
    let has_flight = |stream: &&TcpStream| matches!(stream.peek(&mut [0]), Ok(1));
    flood.iter().filter(has_flight).count()
}

/// Most of the flood still waits when the honest client has what it wants.
async fn goes_ahead(what: &str, sidecar: &Sidecar, honest: impl Future<Output = ()>) {
    let flood = hellos(sidecar.address, FLOOD);
    within(honest).await;
    let before = answered(&flood);
    assert!(before < FLOOD / 2, "{before} of the flood before {what}");
    eventually("the flood is computed too", async || {
        answered(&flood) == FLOOD
    })
    .await;
}

#[tokio::test]
async fn handshakes_of_another_source_go_ahead_of_a_flood() {
    let sidecar = one_worker("").await;
    let handshake = async { drop(sidecar.connect(&["http/1.1"]).await) };
    goes_ahead("a handshake", &sidecar, handshake).await;
    assert_eq!(sidecar.metric(SHED, &[]).await, 0.0);
}

#[tokio::test]
async fn requests_and_the_admin_port_go_ahead_of_a_flood() {
    let sidecar = one_worker("").await;
    let mut open = sidecar.connect(&["http/1.1"]).await;
    let request = async {
        let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        open.write_all(request).await.unwrap();
        open.read_exact(&mut [0; EMPTY.len()]).await.unwrap();
    };
    goes_ahead("a request", &sidecar, request).await;
    let probe = async { assert_eq!(sidecar.admin("/livez").await.0, 200) };
    goes_ahead("a probe", &sidecar, probe).await;
}

/// Who waits for longest of the source that has most gives way, before any key exchange.
#[tokio::test]
async fn beyond_the_limit_the_flood_sheds_its_own() {
    let sidecar = one_worker("max-handshakes = 8").await;
    let flood = hellos(sidecar.address, 40);
    within(sidecar.connect(&["http/1.1"])).await;
    let ended = "hybridge_handshake_failures_total";
    sidecar.metric_reaches(SHED, &[QUEUED], 1.0).await;
    drop(flood);
    sidecar.metric_reaches(ended, &[], 40.0).await;
    let (shed, queued) = (
        sidecar.metric(ended, &[("reason", "shed")]).await,
        sidecar.metric(SHED, &[QUEUED]).await,
    );
    // Those that were computed wait for their client, by the same limit.
    let half_open = ("reason", "half_open_handshakes");
    assert_eq!(shed, queued + sidecar.metric(SHED, &[half_open]).await);
    let computed = "hybridge_handshake_compute_seconds_count";
    assert_eq!(sidecar.metric(computed, &[]).await, 1.0);
}

/// A client that hangs up while it waits costs no key exchange.
#[tokio::test]
async fn who_hangs_up_in_the_queue_is_not_computed() {
    let sidecar = one_worker("").await;
    let (log, _guard) = Panicking::at("nothing");
    drop(hellos(sidecar.address, FLOOD));
    let ended = "hybridge_handshake_failures_total";
    let vanished = [("reason", "vanished")];
    sidecar.metric_is(ended, &vanished, FLOOD as f64).await;
    let computed = FLOOD - log.count(" handshake_bytes_out=0 ");
    assert!(computed < FLOOD / 2, "{computed} were computed");
}
