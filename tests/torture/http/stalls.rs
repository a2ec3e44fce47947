//! Clients of whom a full listener waits in vain: bodies that never come, answers that nobody reads,
//! tunnels in which nobody has said anything. They make room; a client that only reads slowly stays.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};

use super::frames::{self, DATA, frame, get, post};
use crate::support::egress::egress;
use crate::support::http::switched;
use crate::support::{Setup, Sidecar, eventually, read_head, upstream, within};

const PLACES: usize = 2;
/// More than all buffers on the way hold.
const LARGE: usize = 64 * 1024 * 1024;
const SMALL_BUFFER: u32 = 64 * 1024;

/// `/large` has a large response, anything else a small one behind its body.
struct App {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// Those whose response broke off.
    cut: Arc<AtomicUsize>,
}

impl App {
    async fn new() -> Self {
        let connections = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&connections);
        let cut = Arc::<AtomicUsize>::default();
        let cuts = Arc::clone(&cut);
        let address = upstream(move |stream| {
            count.fetch_add(1, Ordering::Relaxed);
            serve(stream, Arc::clone(&cuts))
        })
        .await;
        Self {
            address,
            connections,
            cut,
        }
    }

    /// A connection has work before it gets one to its upstream.
    async fn has(&self, connections: usize) {
        let found = async || self.connections.load(Ordering::Relaxed) == connections;
        eventually("connections to the app", found).await;
    }
}

async fn serve(mut stream: TcpStream, cut: Arc<AtomicUsize>) {
    while let Some(head) = read_head(&mut stream).await {
        let size = if head.starts_with("GET /large") {
            LARGE
        } else {
            4
        };
        if head.starts_with("POST") && stream.read_exact(&mut [0; 10]).await.is_err() {
            return;
        }
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        let piece = vec![b'x'; size.min(64 * 1024)];
        for _ in 0..size / piece.len() {
            if stream.write_all(&piece).await.is_err() {
                cut.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Stall {
    Body,
    PartOfBody,
    Reader,
    Silence,
}

/// Fills a place with a client that stalls.
async fn fill(sidecar: &Sidecar, alpn: &str, stall: Stall) -> impl AsyncRead + Unpin + use<> {
    let (address, ca) = (sidecar.address, &sidecar.ca);
    let mut client = frames::connect(address, ca, alpn, Some(SMALL_BUFFER)).await;
    if alpn == "h2" {
        frames::begin(&mut client, 1 << 30, 1 << 30).await;
        let request = match stall {
            Stall::Body | Stall::PartOfBody => post(1, "/"),
            Stall::Reader => get(1, "/large"),
            Stall::Silence => Vec::new(),
        };
        client.write_all(&request).await.unwrap();
        if let Stall::PartOfBody = stall {
            client.write_all(&frame(DATA, 0, 1, b"part")).await.unwrap();
        }
    } else {
        let request: &[u8] = match stall {
            Stall::Body => b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n",
            Stall::PartOfBody => b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\npart",
            Stall::Reader => b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n",
            Stall::Silence => b"",
        };
        client.write_all(request).await.unwrap();
    }
    client.flush().await.unwrap();
    client
}

/// What a newcomer gets for a request: the version and the status.
async fn status_of(newcomer: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> [u8; 12] {
    let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    newcomer.write_all(request).await.unwrap();
    let mut status = [0; 12];
    within(newcomer.read_exact(&mut status)).await.unwrap();
    status
}

async fn makes_room(sidecar: &Sidecar, listener: &str) {
    let open = [("listener", listener)];
    let shed = [("listener", listener), ("reason", "stalled")];
    sidecar
        .metric_reaches("hybridge_shed_total", &shed, 1.0)
        .await;
    let outcome = [("listener", listener), ("outcome", "shed")];
    sidecar
        .metric_is("hybridge_connections_total", &outcome, 1.0)
        .await;
    let places = PLACES as f64;
    assert_eq!(
        sidecar.metric("hybridge_connections_open", &open).await,
        places
    );
}

fn listener(app: &App, protocol: &str) -> Sidecar {
    Setup::in_front_of(app.address)
        .listener(&format!("protocol = \"{protocol}\""))
        .limits(&format!("max-connections = {PLACES}"))
        .start()
}

async fn is_shed(protocol: &str, alpn: &str, stall: Stall) {
    let app = App::new().await;
    let sidecar = listener(&app, protocol);
    let mut stalled = Vec::new();
    for _ in 0..PLACES {
        stalled.push(fill(&sidecar, alpn, stall).await);
        app.has(stalled.len()).await;
    }
    let mut newcomer = within(sidecar.connect(&[])).await;
    assert_eq!(
        &status_of(&mut newcomer).await,
        b"HTTP/1.1 200",
        "{protocol} {alpn} {stall:?}"
    );
    makes_room(&sidecar, "test").await;
    let [one, other] = &mut stalled[..] else {
        panic!("two places");
    };
    let (end, seen) = within(async {
        tokio::select! {
            ended = to_the_end(one) => ended,
            ended = to_the_end(other) => ended,
        }
    })
    .await;
    match (alpn, stall) {
        ("http/1.1", Stall::Body | Stall::PartOfBody) => {
            end.unwrap();
            assert!(
                seen.starts_with(b"HTTP/1.1 408 "),
                "{}",
                seen.escape_ascii()
            );
        }
        // A response that was cut must not look whole.
        ("http/1.1", Stall::Reader) => assert!(end.is_err()),
        _ => {}
    }
}

async fn to_the_end(client: &mut (impl AsyncRead + Unpin)) -> (std::io::Result<usize>, Vec<u8>) {
    let mut seen = Vec::new();
    (client.read_to_end(&mut seen).await, seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_comes_makes_room() {
    for stall in [Stall::Body, Stall::PartOfBody] {
        tokio::join!(
            is_shed("http", "http/1.1", stall),
            is_shed("http", "h2", stall)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_nobody_reads_makes_room() {
    tokio::join!(
        is_shed("http", "http/1.1", Stall::Reader),
        is_shed("http", "h2", Stall::Reader),
        is_shed("tcp", "", Stall::Reader),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_in_which_nobody_has_said_anything_makes_room() {
    is_shed("tcp", "", Stall::Silence).await;
}

/// An egress to a listener of ours, full of apps that stall.
async fn is_shed_by_an_egress(protocol: &str, request: &[u8]) {
    let behind = App::new().await;
    let server = Setup::in_front_of(behind.address)
        .listener(&format!("protocol = \"{protocol}\""))
        .start();
    let ca = String::from_utf8(server.ca.clone()).unwrap();
    let target = format!("localhost:{}", server.address.port());
    let more = format!("protocol = \"{protocol}\"\nlimits.max-connections = {PLACES}");
    let egress = egress(&target, &ca, "", &more);
    let mut apps = Vec::new();
    for _ in 0..PLACES {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(SMALL_BUFFER).unwrap();
        let mut app = socket.connect(egress.address).await.unwrap();
        app.write_all(request).await.unwrap();
        apps.push(app);
        behind.has(apps.len()).await;
    }
    let mut newcomer = TcpStream::connect(egress.address).await.unwrap();
    assert_eq!(&status_of(&mut newcomer).await, b"HTTP/1.1 200");
    makes_room(&egress, "out").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_that_stall_make_room_at_an_egress() {
    let body = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n";
    let reader = b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n";
    tokio::join!(
        is_shed_by_an_egress("http", body),
        is_shed_by_an_egress("http", reader),
        is_shed_by_an_egress("tcp", reader),
        is_shed_by_an_egress("tcp", b""),
    );
}

async fn stays_while_it_reads(protocol: &str, alpn: &str) {
    let app = App::new().await;
    let sidecar = listener(&app, protocol);
    let mut readers = Vec::new();
    for _ in 0..PLACES {
        readers.push(fill(&sidecar, alpn, Stall::Reader).await);
        app.has(readers.len()).await;
    }
    let newcomer = sidecar.connect(&["http/1.1"]);
    let reading = async {
        let begun = Instant::now();
        let mut piece = vec![0; 16 * 1024];
        while begun.elapsed() < Duration::from_secs(13) {
            for reader in &mut readers {
                within(reader.read_exact(&mut piece)).await.unwrap();
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = reading => {}
        _ = newcomer => panic!("{protocol} {alpn}: a client that reads was shed"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_read_slowly_stay() {
    tokio::join!(
        stays_while_it_reads("http", "http/1.1"),
        stays_while_it_reads("http", "h2"),
        stays_while_it_reads("tcp", ""),
    );
}

/// What lies in the kernel lasts a slow client for longer than the timeout: it is not silent meanwhile.
async fn is_not_idle_while_it_reads(protocol: &str, alpn: &str) {
    let app = App::new().await;
    let sidecar = Setup::in_front_of(app.address)
        .listener(&format!("protocol = \"{protocol}\""))
        .timeouts("idle-timeout = \"2s\"")
        .start();
    let mut reader = fill(&sidecar, alpn, Stall::Reader).await;
    let begun = Instant::now();
    let mut piece = vec![0; 16 * 1024];
    while begun.elapsed() < Duration::from_secs(9) {
        within(reader.read_exact(&mut piece)).await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(app.cut.load(Ordering::Relaxed), 0, "{protocol} {alpn}");
    // It takes nothing more, and is silent then.
    let cut = async || app.cut.load(Ordering::Relaxed) == 1;
    eventually("the end of a silence", cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_read_slowly_are_not_idle() {
    tokio::join!(
        is_not_idle_while_it_reads("http", "http/1.1"),
        is_not_idle_while_it_reads("http", "h2"),
        is_not_idle_while_it_reads("tcp", ""),
    );
}

/// The app is not held by a client of which nothing comes, or that takes nothing, though there is room for others.
async fn is_given_up(alpn: &str, stall: Stall) {
    let app = App::new().await;
    let sidecar = Setup::in_front_of(app.address)
        .timeouts("client-timeout = \"2s\"")
        .start();
    let mut client = fill(&sidecar, alpn, stall).await;
    app.has(1).await;
    let begun = Instant::now();
    if let Stall::Reader = stall {
        let cut = async || app.cut.load(Ordering::Relaxed) == 1;
        eventually("the end of a response that nobody reads", cut).await;
    } else {
        let code = [("code", "4xx")];
        sidecar
            .metric_reaches("hybridge_requests_total", &code, 1.0)
            .await;
    }
    assert!(begun.elapsed() > Duration::from_secs(1), "{alpn} {stall:?}");
    assert_eq!(sidecar.metric("hybridge_requests_open", &[]).await, 0.0);
    if alpn == "http/1.1" && !matches!(stall, Stall::Reader) {
        let (end, seen) = within(to_the_end(&mut client)).await;
        end.unwrap();
        let seen = String::from_utf8(seen).unwrap();
        assert!(seen.starts_with("HTTP/1.1 408 "), "{seen}");
        assert!(seen.contains("desc=\"client_timeout\""), "{seen}");
        let outcome = [("outcome", "timeout")];
        sidecar
            .metric_reaches("hybridge_connections_total", &outcome, 1.0)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_stall_are_given_up_after_the_client_timeout() {
    for stall in [Stall::Body, Stall::PartOfBody, Stall::Reader] {
        tokio::join!(is_given_up("http/1.1", stall), is_given_up("h2", stall));
    }
}

/// An app may take as long as it likes to respond, and so may the sides of a WebSocket.
#[tokio::test(flavor = "multi_thread")]
async fn the_client_timeout_is_none_of_the_app_or_of_a_tunnel() {
    let app = upstream(async |mut stream: TcpStream| {
        let head = read_head(&mut stream).await.unwrap();
        if head.contains(" /ws ") {
            stream.write_all(&switched(&head)).await.unwrap();
        }
        sleep(Duration::from_secs(3)).await;
        if !head.contains(" /ws ") {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n";
            stream.write_all(head).await.unwrap();
        }
        stream.write_all(b"late").await.unwrap();
    })
    .await;
    let sidecar = Setup::in_front_of(app)
        .timeouts("client-timeout = \"1s\"")
        .start();
    let upgrade = "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let whole = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody";
    let ask = async |request: &str| {
        let mut client = sidecar.connect(&["http/1.1"]).await;
        client.write_all(request.as_bytes()).await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"late") {
            seen.push(within(client.read_u8()).await.unwrap());
        }
    };
    tokio::join!(ask(upgrade), ask(whole));
}
