//! The handshake under one deadline: from the first byte to a stream and the facts about it.
//!
//! Driven record by record, so that what is counted ends exactly at the client's Finished; what came
//! along behind it stays undecrypted in the stream. Sources: RFC 8446 §4 and §5.

pub(super) mod flight;
mod outcome;
mod progress;
mod step;

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

pub use self::outcome::{Alpn, Cost, Failure, HandshakeKind, Session};
use self::progress::Progress;
use super::error::HandshakeError;
use super::queue::HandshakeQueue;
use super::server::TlsServer;
use super::stream::TlsStream;
use crate::io::TrafficCounters;

/// Who begins a handshake.
pub struct Client {
    /// Its address: that of the socket, or what a proxy in front says.
    pub address: IpAddr,
    /// What it has sent already.
    pub received: BytesMut,
    /// From when on the handshake may take its time.
    pub since: Instant,
    /// When a client that has sent nothing is no longer waited for, if that is before the deadline.
    pub overdue: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Client {
    /// One that begins now.
    pub fn new(address: IpAddr) -> Self {
        Self {
            address,
            received: BytesMut::new(),
            since: Instant::now(),
            overdue: None,
        }
    }
}

/// Performs the server's handshake, or says why it ended. Alerts are sent before it returns. It waits
/// in `queue`, which is the worker's that this runs on, for its turn to compute.
pub async fn accept<IO>(
    mut io: IO,
    client: Client,
    server: &TlsServer,
    queue: &Arc<HandshakeQueue>,
    counters: TrafficCounters,
) -> Result<(TlsStream<IO>, Session), Box<Failure>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let deadline = client.since + server.timeout;
    let mut progress = Progress::after(client.received, client.overdue);
    let drive = progress.drive(&mut io, client.address, server, queue);
    let outcome = match tokio::time::timeout_at(deadline, drive).await {
        Ok(outcome) => outcome,
        Err(_) => Err(HandshakeError::Timeout),
    };
    match outcome {
        Ok(conn) => progress.finish(io, conn, server, counters),
        // Room is needed now: it is closed at once.
        Err(error @ (HandshakeError::Shed | HandshakeError::ShedFromQueue)) => {
            Err(progress.fail(error))
        }
        Err(error) => {
            if let Some(reply) = progress.final_reply(&error, server)
                && io.write_all(&reply).await.is_ok()
            {
                progress.cost.bytes_out += reply.len() as u64;
            }
            let _ = io.shutdown().await;
            let failure = progress.fail(error);
            if failure.cost.bytes_out > 0 {
                let _ = tokio::time::timeout(LINGER, discard(&mut io)).await;
            }
            Err(failure)
        }
    }
}

/// How long a client that was refused may go on sending. To close over unread bytes would be a
/// reset, and a reset takes the answer or the alert away from a client that has not read it yet.
const LINGER: Duration = Duration::from_secs(1);

/// Reads to the client's end.
async fn discard<IO: AsyncRead + Unpin>(io: &mut IO) {
    let mut unread = BytesMut::with_capacity(4096);
    while io.read_buf(&mut unread).await.is_ok_and(|count| count > 0) {
        unread.clear();
    }
}
