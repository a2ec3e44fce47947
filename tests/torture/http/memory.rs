//! A sidecar under the memory limit that the injector gives it (128 MiB): clients at their worst, as
//! many as it admits, neither get it killed by the kernel nor keep its admin port from responding, and
//! it holds no more than the sum that `check` prints. Where no memory cgroup can be made (no root), the
//! limit and the sum are the machine's.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hybridge::budget::{Asked, Budget, Demand, Memory, MemorySource, Resources};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::frames::{self, DATA, WINDOW_UPDATE, frame};
use super::heads;
use crate::support::program::Program;
use crate::support::{eventually, read_head, upstream, within};

const LIMIT: u64 = 128 << 20;
/// What the injector admits in that memory.
const CONNECTIONS: usize = 256;
const CONNECTIONS_OF_HTTP2: usize = 40;
const STREAMS: u32 = 250;

/// A memory cgroup, removed at the end.
pub(super) struct Cgroup(PathBuf);

impl Cgroup {
    pub(super) fn new(name: &str) -> Option<Self> {
        let parents = [
            ("/sys/fs/cgroup", "memory.max"),
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        ];
        parents.iter().find_map(|(parent, limit)| {
            let id = std::process::id();
            // A folder beside the hierarchies is none.
            let parent = Path::new(parent);
            if !parent.join("cgroup.procs").exists() {
                return None;
            }
            let folder = parent.join(format!("hybridge-torture-{name}-{id}"));
            std::fs::create_dir(&folder).ok()?;
            let cgroup = Self(folder);
            std::fs::write(cgroup.0.join(limit), LIMIT.to_string()).ok()?;
            Some(cgroup)
        })
    }

    /// Where a process says that it belongs to it.
    pub(super) fn procs(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }

    fn peak(&self) -> u64 {
        let read = |name| std::fs::read_to_string(self.0.join(name)).ok();
        let peak = read("memory.peak").or_else(|| read("memory.max_usage_in_bytes"));
        peak.map_or(0, |text| text.trim().parse().unwrap())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Load {
    /// Streams whose responses have no window.
    WindowZero,
    /// Clients that leave their sockets unread, over each protocol.
    UnreadHttp1,
    UnreadHttp2,
    UnreadTcp,
    /// Uploads to an upstream that reads no body.
    Uploads,
    /// As many requests as fit, which never end, to an app that does not respond.
    Unended,
    /// Interim responses, and response heads of 60 KiB, to clients that read nothing.
    Interim,
    Heads,
    /// Request heads of 60 KB to an app that reads them and does not respond.
    RequestHeads,
    /// Trailers of 100 KB behind small heads, to an app that accepts no connection.
    Trailers,
    /// Heads, and trailers, of 3,900 fields, each of them one byte.
    IndexedFields,
}

impl Load {
    fn protocol(self) -> &'static str {
        if self == Self::UnreadTcp {
            "tcp"
        } else {
            "http"
        }
    }

    fn is_http2(self) -> bool {
        !matches!(self, Self::UnreadHttp1 | Self::UnreadTcp)
    }

    /// Connections, and streams of each.
    fn size(self) -> (usize, u32) {
        match self {
            Self::UnreadHttp1 | Self::UnreadTcp => (CONNECTIONS, 0),
            Self::RequestHeads => (150, 10),
            Self::Unended => (150, STREAMS),
            Self::Trailers => (6, 100),
            _ => (CONNECTIONS_OF_HTTP2, STREAMS),
        }
    }

    /// What a client sends of a stream, the first of its connection or another.
    fn request(self, stream: u32) -> Vec<u8> {
        match self {
            Self::Uploads | Self::Unended => frames::post(stream, "/"),
            Self::RequestHeads => heads::large(stream, 60_000, false),
            Self::Trailers => [
                frames::post(stream, "/"),
                heads::large(stream, 100_000, true),
            ]
            .concat(),
            Self::IndexedFields => heads::indexed(stream, 3900),
            _ => frames::get(stream, "/"),
        }
    }

    async fn app(self) -> SocketAddr {
        if self == Self::Trailers {
            return heads::app_with_full_queue().await;
        }
        let head = match self {
            Self::Interim => "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(30),
            Self::Heads => format!("HTTP/1.1 200 OK\r\nx: {}\r\n", "x".repeat(60_000)),
            _ => String::new(),
        };
        let head = match self {
            Self::Heads => head + "content-length: 0\r\n\r\n",
            _ => head + "HTTP/1.1 200 OK\r\n\r\n",
        };
        upstream(move |mut stream| {
            let (head, body) = (head.clone(), vec![b'x'; 65_536]);
            async move {
                while read_head(&mut stream).await.is_some() {
                    if matches!(
                        self,
                        Self::Uploads | Self::Unended | Self::RequestHeads | Self::IndexedFields
                    ) {
                        return std::future::pending().await;
                    }
                    if stream.write_all(head.as_bytes()).await.is_err() {
                        return;
                    }
                    while self != Self::Heads && stream.write_all(&body).await.is_ok() {}
                }
            }
        })
        .await
    }

    /// One client, which goes on until it is dropped.
    async fn client(self, program: &Program) -> JoinSet<()> {
        let mut client = JoinSet::new();
        let alpn = if self.is_http2() { "h2" } else { "http/1.1" };
        let mut stream = program.connect(&[alpn]).await;
        if !self.is_http2() {
            let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
            stream.write_all(request).await.unwrap();
            client.spawn(async move {
                let _stream = stream;
                std::future::pending::<()>().await;
            });
            return client;
        }
        let window = if self == Self::WindowZero { 0 } else { 1 << 30 };
        frames::begin(&mut stream, window, 1 << 30).await;
        let (mut read, mut write) = tokio::io::split(stream);
        let (credit, mut credits) = tokio::sync::mpsc::unbounded_channel();
        let reads = !matches!(self, Self::UnreadHttp2 | Self::Interim | Self::Heads);
        client.spawn(async move {
            let mut head = [0; 9];
            while reads && read.read_exact(&mut head).await.is_ok() {
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                let mut payload = vec![0; length];
                if read.read_exact(&mut payload).await.is_err() {
                    return;
                }
                if head[3] == WINDOW_UPDATE && head[5..] == [0; 4] {
                    let more = u32::from_be_bytes(payload[..4].try_into().unwrap());
                    let _ = credit.send(more as usize);
                }
            }
            // Unread, and open.
            let _read = read;
            std::future::pending::<()>().await;
        });
        client.spawn(async move {
            for stream in (0..self.size().1).map(|number| 2 * number + 1) {
                if write.write_all(&self.request(stream)).await.is_err() {
                    return;
                }
            }
            let mut window = if self == Self::Uploads { 65_535 } else { 0 };
            for number in 0.. {
                let piece = window.min(16_000);
                let data = frame(DATA, 0, 2 * (number % STREAMS) + 1, &vec![b'x'; piece]);
                if piece > 0 && write.write_all(&data).await.is_err() {
                    return;
                }
                window -= piece;
                if window == 0 {
                    match credits.recv().await {
                        Some(more) => window += more,
                        None => std::future::pending().await,
                    }
                }
            }
        });
        client
    }
}

async fn is_live(admin: SocketAddr) -> bool {
    let asking = async {
        let mut stream = TcpStream::connect(admin).await?;
        stream.write_all(b"GET /livez HTTP/1.0\r\n\r\n").await?;
        let mut seen = String::new();
        stream.read_to_string(&mut seen).await?;
        std::io::Result::Ok(seen.contains(" 200 "))
    };
    matches!(timeout(Duration::from_secs(20), asking).await, Ok(Ok(true)))
}

/// What such a process may hold, in its cgroup or on this machine.
fn budget(in_cgroup: bool) -> Budget {
    let limit = Memory {
        bytes: LIMIT,
        source: MemorySource::Cgroup,
    };
    let memory = if in_cgroup {
        Some(limit)
    } else {
        Resources::of_process().memory
    };
    let resources = Resources {
        descriptors: None,
        memory,
    };
    let listener = Asked {
        connections: CONNECTIONS,
        explicit: true,
        ..Asked::default()
    };
    let demand = Demand {
        listeners: vec![listener],
        ..Demand::default()
    };
    let budget = Budget::new(&resources, &demand);
    assert!(budget.warnings().is_empty(), "{budget}");
    budget
}

async fn is_borne(load: Load) {
    let cgroup = Cgroup::new(&format!("{load:?}").to_lowercase());
    if cgroup.is_none() {
        println!("{load:?}: no memory cgroup can be made here, the limit is the machine's");
    }
    let bound = budget(cgroup.is_some()).most_memory();
    let procs = cgroup.as_ref().map(Cgroup::procs);
    let procs = procs.unwrap_or_else(|| "/dev/null".into());
    let (program, admin) =
        Program::start_in(load.app().await, load.protocol(), &procs, CONNECTIONS).await;
    // The listeners are bound one by one: the admin port may be a moment behind.
    eventually("the admin port to respond", async || is_live(admin).await).await;
    let before = program.memory("RssAnon");
    let count = load.size().0;
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(within(load.client(&program)).await);
    }
    let mut most = 0;
    for _ in 0..40 {
        sleep(Duration::from_millis(250)).await;
        most = program.memory("RssAnon").max(most);
    }
    println!(
        "{load:?}, {count} connections: {} MiB before, {} MiB at most of {} MiB, {} MiB peak of the cgroup",
        before >> 20,
        most >> 20,
        bound >> 20,
        cgroup.as_ref().map_or(0, Cgroup::peak) >> 20
    );
    assert!(is_live(admin).await, "{load:?}");
    assert!(most <= bound, "{load:?}: {most} bytes of {bound}");
    drop(clients);
    drop(program);
    sleep(Duration::from_millis(200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_without_window_are_borne_in_128_mib() {
    is_borne(Load::WindowZero).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_sockets_are_borne_in_128_mib() {
    is_borne(Load::UnreadHttp1).await;
    is_borne(Load::UnreadHttp2).await;
    is_borne(Load::UnreadTcp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_uploads_are_borne_in_128_mib() {
    is_borne(Load::Uploads).await;
    is_borne(Load::Unended).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_heads_are_borne_in_128_mib() {
    is_borne(Load::Interim).await;
    is_borne(Load::Heads).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_heads_and_trailers_of_requests_are_borne_in_128_mib() {
    is_borne(Load::RequestHeads).await;
    is_borne(Load::Trailers).await;
    is_borne(Load::IndexedFields).await;
}
