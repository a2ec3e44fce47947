//! HTTP/2 connections to the inference server, clear text with prior knowledge (RFC 9113 §3.3),
//! shared by the streams of all clients.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use h2::client::SendRequest;

use super::{Socket, Upstream};
use crate::proxy::error::UpstreamError;

/// Streams on one connection; the next opens another.
const MAX_STREAMS: usize = 100;
/// Bytes a stream may have under way before its client has taken them.
const STREAM_WINDOW: u32 = 64 * 1024;
/// Room for every stream's window: a slow client must not stall the others on its connection.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS as u32;

/// The shared connections.
#[derive(Default)]
pub(crate) struct Pool {
    open: Mutex<Vec<Arc<Shared>>>,
    /// One dial at a time: a burst of streams shares what it opens.
    dialling: tokio::sync::Mutex<()>,
}

struct Shared {
    sender: SendRequest<Bytes>,
    streams: AtomicUsize,
    closed: AtomicBool,
}

/// A place for one stream; given back when dropped.
pub(crate) struct Place {
    shared: Arc<Shared>,
}

impl Place {
    /// A sender that is ready to open the stream.
    pub(crate) async fn sender(&self) -> Result<SendRequest<Bytes>, UpstreamError> {
        let mut sender = self.shared.sender.clone();
        if poll_fn(|cx| sender.poll_ready(cx)).await.is_ok() {
            return Ok(sender);
        }
        self.shared.closed.store(true, Ordering::Relaxed);
        Err(UpstreamError::Closed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Upstream {
    /// A place on a shared connection, opened if none has room.
    pub(crate) async fn place(&self) -> Result<Place, UpstreamError> {
        if let Some(place) = self.http2.existing() {
            return Ok(place);
        }
        let _dialling = self.http2.dialling.lock().await;
        if let Some(place) = self.http2.existing() {
            return Ok(place);
        }
        let shared = Arc::new(open(self.connect().await?).await?);
        let place = shared.place();
        self.http2.lock().push(shared);
        Ok(place)
    }
}

impl Pool {
    fn existing(&self) -> Option<Place> {
        let mut open = self.lock();
        open.retain(|shared| !shared.closed.load(Ordering::Relaxed));
        open.iter()
            .find(|shared| shared.has_room())
            .map(Shared::place)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Shared>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn has_room(&self) -> bool {
        let limit = self.sender.current_max_send_streams().min(MAX_STREAMS);
        self.streams.load(Ordering::Relaxed) < limit
    }

    fn place(self: &Arc<Self>) -> Place {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Place {
            shared: Arc::clone(self),
        }
    }
}

async fn open(socket: Socket) -> Result<Shared, UpstreamError> {
    let (sender, connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(64 * 1024)
        .enable_push(false)
        .handshake(socket)
        .await
        .map_err(|_| UpstreamError::Closed)?;
    // Ends when the server closes, or when the last sender is gone.
    tokio::spawn(connection);
    Ok(Shared {
        sender,
        streams: AtomicUsize::new(0),
        closed: AtomicBool::new(false),
    })
}
