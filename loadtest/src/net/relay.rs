//! The user-space relay between client and target: delays every byte by half the round-trip time and paces it to
//! the bandwidth, each way. It emulates no loss and no TCP slow start; the TCP handshake's own round trip is waited
//! for by the dialler, since the kernel answers SYN at once. Its true delay is measured, never assumed.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::accept::accept;
use super::link::Link;
use super::timer::Timer;

const CHUNK: usize = 64 * 1024;
/// What may be under way in one direction: beyond it the sender feels back-pressure, as from a full queue.
const QUEUE: usize = 16 * 1024 * 1024;

/// Listens on a loopback port of its own until dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Relay {
    pub async fn start(target: SocketAddr, link: Link) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            while let Ok(client) = accept(&listener).await {
                // A refused or reset connection ends here as it would on a wire: the client sees it closed.
                tokio::spawn(async move { carry(client, target, link).await.ok() });
            }
        });
        Ok(Self { address, task })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, target: SocketAddr, link: Link) -> io::Result<()> {
    let server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    tokio::try_join!(
        delay(client_read, server_write, link),
        delay(server_read, client_write, link)
    )?;
    Ok(())
}

/// When a chunk that arrives now leaves the far end.
struct Pace {
    link: Link,
    wire_free: Instant,
}

impl Pace {
    fn due(&mut self, bytes: usize) -> Instant {
        let now = Instant::now();
        let sending = match self.link.bits_per_second {
            0 => Duration::ZERO,
            rate => Duration::from_secs_f64(bytes as f64 * 8.0 / rate as f64),
        };
        self.wire_free = self.wire_free.max(now) + sending;
        self.wire_free + self.link.rtt() / 2
    }
}

struct InFlight {
    due: Instant,
    data: Vec<u8>,
}

/// One direction: reads as long as the queue has room, writes each chunk when it is due, closes after the last.
async fn delay(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    link: Link,
) -> io::Result<()> {
    let mut pace = Pace {
        link,
        wire_free: Instant::now(),
    };
    let mut timer = Timer::new()?;
    let mut queue: VecDeque<InFlight> = VecDeque::new();
    let (mut queued, mut ended) = (0, None);
    let mut buffer = vec![0; CHUNK];
    loop {
        let next = queue.front().map(|chunk| chunk.due).or(ended);
        tokio::select! {
            read = from.read(&mut buffer), if ended.is_none() && queued < QUEUE => {
                let read = read?;
                let due = pace.due(read);
                if read == 0 {
                    ended = Some(due);
                } else {
                    queued += read;
                    queue.push_back(InFlight { due, data: buffer[..read].to_vec() });
                }
            }
            slept = timer.sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                slept?;
                let Some(chunk) = queue.pop_front() else { return to.shutdown().await };
                queued -= chunk.data.len();
                to.write_all(&chunk.data).await?;
            }
        }
    }
}

/// What the relay really did to 1-byte pings and to a bulk transfer, as measured through it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    pub link: Link,
    /// Median round trip without the relay, microseconds.
    pub bare_rtt_us: f64,
    /// Median round trip through the relay, microseconds.
    pub median_rtt_us: f64,
    /// 95th percentile of the same.
    pub p95_rtt_us: f64,
    /// Megabits per second one way; none where no bandwidth was asked for.
    pub measured_mbit: Option<f64>,
}

impl Verification {
    /// The relay's error: what it added beyond what was asked, in microseconds.
    pub fn excess_us(&self) -> f64 {
        self.median_rtt_us - self.bare_rtt_us - self.link.rtt_us as f64
    }

    /// True where the emulation is off by more than 5 % and 300 us, or the bandwidth by more than 10 %.
    pub fn is_off(&self) -> bool {
        let rate = self.link.bits_per_second as f64 / 1e6;
        let late = self.excess_us().abs() > (self.link.rtt_us as f64 * 0.05).max(300.0);
        late || self
            .measured_mbit
            .is_some_and(|mbit| (mbit / rate - 1.0).abs() > 0.10)
    }
}

/// Measures a link against an echo of the tool's own.
pub async fn verify(link: Link) -> io::Result<Verification> {
    let echo = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = echo.local_addr()?;
    let server = tokio::spawn(async move {
        while let Ok((mut peer, _)) = echo.accept().await {
            peer.set_nodelay(true).ok();
            tokio::spawn(async move {
                let (mut read, mut write) = peer.split();
                tokio::io::copy(&mut read, &mut write).await.ok()
            });
        }
    });
    let relay = Relay::start(address, link).await?;
    let bare = pings(address, 50).await?;
    let through = pings(relay.address(), if link.rtt_us > 10_000 { 12 } else { 50 }).await?;
    let measured_mbit = match link.bits_per_second {
        0 => None,
        rate => Some(bulk(relay.address(), rate).await?),
    };
    server.abort();
    Ok(Verification {
        link,
        bare_rtt_us: bare[bare.len() / 2],
        median_rtt_us: through[through.len() / 2],
        p95_rtt_us: through[(through.len() * 95).div_ceil(100) - 1],
        measured_mbit,
    })
}

/// Sorted round trips of single bytes in microseconds; the first, which also opens the path, is left out.
async fn pings(address: SocketAddr, count: usize) -> io::Result<Vec<f64>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut times = Vec::with_capacity(count);
    for _ in 0..=count {
        let start = Instant::now();
        stream.write_all(&[1]).await?;
        stream.read_u8().await?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.remove(0);
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// Half a second's worth of bytes through the relay, in megabits per second between first and last echoed byte.
async fn bulk(address: SocketAddr, rate: u64) -> io::Result<f64> {
    let total = (rate / 16).clamp(65_536, 64 * 1024 * 1024) as usize;
    let (mut read, mut write) = TcpStream::connect(address).await?.into_split();
    let sender =
        tokio::spawn(async move { write.write_all(&vec![0; total]).await.map(|()| write) });
    let mut buffer = vec![0; CHUNK];
    let first = read.read(&mut buffer).await?;
    let (start, mut seen) = (Instant::now(), first);
    while seen < total {
        match read.read(&mut buffer).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => seen += count,
        }
    }
    let elapsed = start.elapsed().as_secs_f64();
    sender.await.map_err(io::Error::other)??;
    Ok((seen - first) as f64 * 8.0 / elapsed / 1e6)
}
