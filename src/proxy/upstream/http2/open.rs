//! One HTTP/2 connection to the upstream: how it begins, and the task that drives it.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Poll;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use tokio::task::AbortHandle;

use super::liveness::Liveness;
use crate::io::ByteSource as _;
use crate::panics::{self, OnPanic};
use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::codec::h1::request::USUAL_FIELDS;
use crate::proxy::codec::h1::response::MAX_RESPONSE_HEAD;
use crate::proxy::codec::h2::reserve::{Reserved, UPSTREAM};
use crate::proxy::codec::h2::response_ends::ResponseEnds;
use crate::proxy::codec::h2::write_coalescer::CoalescingWriter;
use crate::proxy::codec::message::{AskOutgoing, Outgoing};
use crate::proxy::error::UpstreamError;
use crate::proxy::upstream::socket::Socket;

/// Streams on one connection; the next opens another.
const MAX_STREAMS: usize = 100;
/// Bytes a stream may have under way before its client has taken them: at most, and at least where many
/// connections have taken what the process may hold. A connection has room for every stream's window:
/// a slow client must not stall the others.
const STREAM_WINDOW: usize = 64 * 1024;
const LEAST_STREAM_WINDOW: usize = 4 * 1024;
/// The limit of HTTP/1.1 heads; each field counts 32 bytes more here (RFC 9113 §6.5.2). What waits for a client that
/// does not read would be 16 MiB otherwise.
const HEADER_LIST: usize = MAX_RESPONSE_HEAD + 32 * USUAL_FIELDS;

/// How a connection ended, if there was more to it than that.
pub(super) enum End {
    Http2(h2::Error),
    Refused(HeadError),
}

impl End {
    /// The same as the error of a request that was under way.
    pub(super) fn error(&self) -> UpstreamError {
        match self {
            Self::Http2(error) => UpstreamError::of_http2(error),
            Self::Refused(error) => UpstreamError::BadResponse(*error),
        }
    }
}

/// A connection, with what its streams share.
pub(super) struct Shared {
    /// Its windows' part of the process's bytes.
    _window: Reserved,
    pub(super) sender: SendRequest<Bytes>,
    /// The group of its keys, where there are any.
    pub(super) group: Option<&'static str>,
    pub(super) streams: AtomicUsize,
    /// When the last stream ended.
    idle_since: Mutex<Instant>,
    /// The server closed it, or takes no more streams on it.
    pub(super) closed: Arc<AtomicBool>,
    /// Of a server elsewhere, whose path may swallow what it is sent; the kernel tells of the end of one here.
    liveness: Option<Mutex<Liveness>>,
    heard: Arc<AtomicBool>,
    /// What was sent on it: of all its streams.
    pub(super) outgoing: AskOutgoing,
    /// The responses that have ended.
    pub(super) ends: ResponseEnds,
    /// Known once it has ended.
    pub(super) end: Arc<OnceLock<End>>,
    driver: AbortHandle,
}

impl Shared {
    pub(super) fn idle_since(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.idle_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What was asked of a server that is given up fails, or is asked again elsewhere if that can do no harm.
    pub(super) fn give_up_if_lost(&self) {
        let Some(liveness) = &self.liveness else {
            return;
        };
        let busy = self.streams.load(Ordering::Relaxed) > 0;
        let heard = self.heard.swap(false, Ordering::Relaxed);
        let mut liveness = liveness.lock().unwrap_or_else(PoisonError::into_inner);
        if liveness.is_lost(busy, heard) {
            self.closed.store(true, Ordering::Relaxed);
            self.driver.abort();
        }
    }

    pub(super) fn has_room(&self) -> bool {
        let limit = self.sender.current_max_send_streams().min(MAX_STREAMS);
        self.streams.load(Ordering::Relaxed) < limit
    }
}

fn bounded(window: usize) -> u32 {
    u32::try_from(window).unwrap_or(u32::MAX >> 1)
}

/// A connection that the server takes streams on. Over TLS it may refuse us behind the handshake, and says so
/// by an alert as it ends the connection.
pub(super) async fn open(socket: Socket, panicked: OnPanic) -> Result<Shared, UpstreamError> {
    let ends = ResponseEnds::default();
    let socket = CoalescingWriter::watching_ends(socket, ends.clone());
    let turns = socket.handle();
    match begin(socket, ends, panicked).await {
        Ok(shared) => Ok(shared),
        Err(broken) => Err(reason(&turns, broken.as_ref()).await),
    }
}

/// Why a connection did not begin. What came may be unread: our writing met the end first.
async fn reason(socket: &CoalescingWriter<Socket>, broken: Option<&h2::Error>) -> UpstreamError {
    let mut first = BytesMut::from(&socket.first()[..]);
    if broken.is_some_and(h2::Error::is_io) {
        // Whatever it says, the end is known.
        let _ = poll_fn(|cx| socket.inspect(|socket| socket.poll_append(cx, &mut first))).await;
    }
    if let Some(refusal) = socket.inspect(Socket::refusal) {
        return refusal;
    }
    match HeadError::instead_of_http2(&first) {
        Some(other) => UpstreamError::BadResponse(other),
        None => broken.map_or(UpstreamError::Closed, UpstreamError::of_http2),
    }
}

async fn begin(
    socket: CoalescingWriter<Socket>,
    ends: ResponseEnds,
    panicked: OnPanic,
) -> Result<Shared, Option<h2::Error>> {
    let (group, watched) = socket.inspect(|socket| {
        let watched = socket.may_lose_its_peer();
        if watched {
            socket.limit_unacknowledged();
        }
        (socket.group(), watched)
    });
    let (turns, heard) = (socket.handle(), socket.heard());
    let outgoing = socket.glance(|socket| Outgoing {
        sent: socket.sent(),
        untaken: socket.inspect(|io| io.untaken()).unwrap_or(0),
    });
    let window = UPSTREAM.take_part(STREAM_WINDOW * MAX_STREAMS);
    let of_stream = (window.bytes() / MAX_STREAMS).max(LEAST_STREAM_WINDOW);
    let of_all = of_stream * MAX_STREAMS;
    let (sender, mut connection) = h2::client::Builder::new()
        .initial_window_size(bounded(of_stream))
        .initial_connection_window_size(bounded(of_all))
        .max_send_buffer_size(64 * 1024)
        .max_header_list_size(bounded(HEADER_LIST))
        .enable_push(false)
        // The windows are limit enough: small frames that a slow client leaves lying must not cost
        // all others their connection.
        .data_frame_budget(of_all * 256)
        // None before the server has said how many: it would refuse what exceeds its limit.
        .initial_max_send_streams(0)
        .handshake(socket)
        .await
        .map_err(Some)?;
    poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
        Poll::Ready(ended) => Poll::Ready(Err(ended.err())),
        Poll::Pending if connection.max_concurrent_send_streams() > 0 => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    })
    .await?;
    let pings = connection.ping_pong().filter(|_| watched);
    let liveness = pings.map(|pings| Mutex::new(Liveness::new(pings)));
    let closed = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&closed);
    let end = Arc::new(OnceLock::new());
    let told = Arc::clone(&end);
    // Ends when the server closes, or when the last sender is gone.
    let driver = tokio::spawn(async move {
        let driving = poll_fn(|cx| turns.poll_batched(cx, |cx| Pin::new(&mut connection).poll(cx)));
        // However it ends, nobody may take it for open.
        let driven = panics::caught(driving).await;
        ended.store(true, Ordering::Relaxed);
        match driven {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let _ = told.set(match turns.inspect(Socket::refusal) {
                    Some(UpstreamError::BadResponse(broken)) => End::Refused(broken),
                    _ => End::Http2(error),
                });
            }
            Err(_) => panicked(),
        }
    });
    Ok(Shared {
        _window: window,
        sender,
        group,
        streams: AtomicUsize::new(0),
        idle_since: Mutex::new(Instant::now()),
        closed,
        liveness,
        heard,
        outgoing: Arc::new(move || outgoing().unwrap_or_default()),
        ends,
        end,
        driver: driver.abort_handle(),
    })
}
