//! An HTTP/2 client: streams side by side, each forwarded and answered within the connection's task
//! (RFC 9113). The h2 crate bounds floods: resets, CONTINUATION, settings and pings, small frames.

mod ending;
mod event;
mod guarded;
mod preface;
mod timing;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{self, Poll};

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, Stream};
use h2::server::{Connection, SendResponse};
use h2::{PingPong, RecvStream};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};

use self::event::{Event, HeadTime};
use self::guarded::Guarded;
use self::preface::begun;
use crate::budget::{FIRST_UPLOAD_WINDOW, UPLOAD_WINDOW};
use crate::drain::{Phase, PhaseWait};
use crate::io::{ClientStream, Closing};
use crate::metrics::RequestProtocol;
use crate::proxy::codec::h2::pings::PING_EVERY;
use crate::proxy::codec::h2::refusals::Refusals;
use crate::proxy::codec::h2::reserve::{Reserved, UPLOADS};
use crate::proxy::codec::h2::unsent::{Admission, PROCESS, Unsent};
use crate::proxy::codec::h2::write_coalescer::CoalescingWriter;
use crate::proxy::context::Context;
use crate::proxy::downstream::http1_idle::FIRST_REQUEST_GRACE;
use crate::proxy::downstream::http2_forward::{self, Share};
use crate::proxy::end::{Sent, end};
use crate::proxy::error::Outcome;
use crate::proxy::upstream::Priority;

/// Bytes a client may have under way on one stream.
const STREAM_WINDOW: u32 = 512 * 1024;
/// Bytes of a response that may wait for the client's window.
const SEND_BUFFER: usize = 64 * 1024;
/// What small DATA frames may cost that came and were not looked at, at 256 a frame less its bytes:
/// enough for a stream's window full of short messages, which is a burst and no attack.
const SMALL_FRAME_BUDGET: usize = 16 * 1024 * 1024;
/// Streams reset before they were looked at (CVE-2023-44487), and resets we had to send.
const MAX_PENDING_RESETS: usize = 32;
const MAX_LOCAL_RESETS: usize = 256;

/// Serves a connection to its end.
pub(crate) async fn serve<S>(stream: S, context: Arc<Context>) -> Outcome
where
    S: ClientStream + 'static,
{
    let settings = &context.settings;
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(FIRST_UPLOAD_WINDOW)
        .max_concurrent_streams(settings.max_streams)
        .max_header_list_size(header_list_size(settings.max_head_bytes))
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        // What a client has sent of streams that we reset is no error of it: twice as many as it has at once.
        .max_concurrent_reset_streams(2 * settings.max_streams as usize)
        .max_local_error_reset_streams(Some(MAX_LOCAL_RESETS))
        .data_frame_budget(SMALL_FRAME_BUDGET)
        .enable_connect_protocol();
    let refused = Arc::clone(&context);
    let refusals = Refusals::new(move |status| refused.refused(status));
    let heads = HeadTime::new(refusals.open_head());
    let stream = CoalescingWriter::watching(stream, refusals);
    let mut socket = stream.handle();
    let drain = context.drain.clone();
    let (outcome, since) = match begun(&builder, stream, &context).await {
        Ok(connection) => {
            let mut serving = Serving::new(connection, socket.handle(), context, heads);
            serving.run(&socket).await
        }
        Err(outcome) => (outcome, Instant::now()),
    };
    match outcome {
        Outcome::ClientGone => outcome,
        _ => end(&mut socket, Sent::Whole, outcome, since, &drain).await,
    }
}

/// What the h2 crate bounds. It counts 32 bytes a field more than HTTP/1.1 takes (RFC 9113 §6.5.2), and
/// each cookie crumb as a field: that is no reason to refuse what HTTP/1.1 would not.
fn header_list_size(max_head: usize) -> u32 {
    u32::try_from(max_head.saturating_mul(2)).unwrap_or(u32::MAX)
}

/// A connection being served.
struct Serving<S> {
    connection: Connection<CoalescingWriter<S>, Bytes>,
    socket: CoalescingWriter<S>,
    context: Arc<Context>,
    unsent: Arc<Unsent>,
    /// The socket had no room when last looked at.
    blocked: bool,
    /// Bytes the client may have under way on all of its streams, and what they take of the process's.
    window: u32,
    widened: Reserved,
    /// Dropped with the connection, so that no stream outlives its client. No task a stream: what many
    /// of them have to say at once is then sent at once, and none of them is scheduled by itself.
    streams: FuturesUnordered<Guarded>,
    pings: Option<PingPong>,
    heads: HeadTime,
    drained: PhaseWait,
    /// Until when the first request may come though a drain has begun; `None` once it has.
    first_by: Option<Instant>,
    /// Fires no later than anything is due; moved on only when it fires or something is due earlier.
    timer: Pin<Box<Sleep>>,
    /// When the next ping goes out, or must have been answered.
    ping_at: Instant,
    ping_open: bool,
    /// The client was heard since that was sent; and what it had acknowledged then.
    heard: Arc<AtomicBool>,
    acknowledged: u64,
    /// Since when there is no stream.
    quiet_since: Instant,
    /// Every stream waits for the client alone.
    stalled: bool,
    /// Why the connection is being closed, once it is; and since when.
    closing: Option<Outcome>,
    closing_since: Instant,
}

impl<S> Drop for Serving<S> {
    fn drop(&mut self) {
        self.unsent.closed();
    }
}

impl<S: AsyncRead + AsyncWrite + Closing + Send + Unpin + 'static> Serving<S> {
    fn new(
        mut connection: Connection<CoalescingWriter<S>, Bytes>,
        socket: CoalescingWriter<S>,
        context: Arc<Context>,
        heads: HeadTime,
    ) -> Self {
        context.activity.idle(Instant::now().into_std());
        let unsent = Unsent::new(&PROCESS, socket.blocked());
        let untaken = socket.glance(|socket| socket.unacknowledged().ok());
        let written = Box::new(socket.glance(Closing::written));
        unsent.tells(Box::new(move || untaken().flatten()), written);
        Self {
            pings: connection.ping_pong(),
            heads,
            connection,
            heard: socket.heard(),
            socket,
            drained: context.drain.reached(Phase::Draining),
            first_by: Some(Instant::now() + FIRST_REQUEST_GRACE),
            context,
            unsent,
            blocked: false,
            window: FIRST_UPLOAD_WINDOW,
            widened: UPLOADS.nothing(),
            streams: FuturesUnordered::new(),
            timer: Box::pin(sleep_until(Instant::now() + PING_EVERY)),
            ping_at: Instant::now() + PING_EVERY,
            ping_open: false,
            acknowledged: 0,
            quiet_since: Instant::now(),
            stalled: false,
            closing: None,
            closing_since: Instant::now(),
        }
    }

    /// How it ended, and since when there was nothing to send.
    async fn run(&mut self, socket: &CoalescingWriter<S>) -> (Outcome, Instant) {
        loop {
            match poll_fn(|cx| socket.poll_batched(cx, |cx| self.poll_next(cx))).await {
                Event::Draining => self.close(Outcome::Drained),
                Event::Shed => {
                    let since = self.quiet_since;
                    return (self.make_room(socket).await, since);
                }
                Event::Quiet => self.close(Outcome::Timeout),
                Event::HeadDue => self.refuse_head(),
                Event::Mute => {
                    let since = self.quiet_since;
                    self.make_room(socket).await;
                    return (self.outcome(Ok(())), since);
                }
                Event::PingDue if !self.ping_open => self.ping(),
                Event::PingDue if self.was_heard() => {}
                Event::PingDue => return (Outcome::ClientGone, self.quiet_since),
                Event::Pong => {
                    self.ping_open = false;
                    self.ping_at = Instant::now() + PING_EVERY;
                }
                Event::Closed(result) => return (self.outcome(result), self.quiet_since),
            }
        }
    }

    /// What happens next. Polled with every message of the connection, so it sets nothing up.
    fn poll_next(&mut self, cx: &mut task::Context<'_>) -> Poll<Event> {
        let blocked = self.unsent.is_blocked();
        if std::mem::replace(&mut self.blocked, blocked) && !blocked {
            self.unsent.unblocked();
        }
        loop {
            self.poll_streams(cx);
            self.widen();
            let before = self.streams.len();
            // Also sends what the streams had to say.
            while let Poll::Ready(accepted) = self.connection.poll_accept(cx) {
                match accepted {
                    Some(Ok((request, respond))) => self.start(request, respond),
                    Some(Err(error)) => return Poll::Ready(Event::Closed(Err(error))),
                    None => return Poll::Ready(Event::Closed(Ok(()))),
                }
            }
            if self.streams.len() == before {
                break;
            }
        }
        if self.closing.is_none() && self.must_drain(cx) {
            return Poll::Ready(Event::Draining);
        }
        if self.must_make_room(cx) {
            return Poll::Ready(Event::Shed);
        }
        if let Some(pings) = self.pings.as_mut().filter(|_| self.ping_open)
            && let Poll::Ready(Ok(_)) = pings.poll_pong(cx)
        {
            return Poll::Ready(Event::Pong);
        }
        self.poll_due(cx)
    }

    /// Goes on with every stream that can.
    fn poll_streams(&mut self, cx: &mut task::Context<'_>) {
        while let Poll::Ready(Some(())) = Pin::new(&mut self.streams).poll_next(cx) {
            self.quiet_since = Instant::now();
            if self.streams.is_empty() {
                self.context.activity.idle(self.quiet_since.into_std());
            }
        }
    }

    /// A client that has sent half of its window gets twice as much, while the process has it to give.
    /// A window cannot be taken back (RFC 9113 §6.9), so it is promised step by step.
    fn widen(&mut self) {
        if self.window < UPLOAD_WINDOW / 2 + 1
            && self.unsent.uploads.has_received(self.window as usize / 2)
            && self.widened.grow(self.window as usize)
        {
            self.window *= 2;
            self.unsent.uploads.widened(self.window);
            self.connection.set_target_window_size(self.window);
        }
    }

    fn start(&mut self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let Some(head) = self.socket.accepted(respond.stream_id().as_u32()) else {
            return;
        };
        self.first_by = None;
        if self.streams.is_empty() && !self.context.activity.begin() {
            // Not processed: the client may send it again elsewhere (RFC 9113 8.7).
            return respond.send_reset(h2::Reason::REFUSED_STREAM);
        }
        let context = Arc::clone(&self.context);
        let is_first = self.streams.is_empty();
        let permit = match PROCESS.admit(is_first, request.body().is_end_stream()) {
            Admission::Served(permit) => Ok(permit),
            Admission::Refused(refused) => Err(refused),
            Admission::Reset => {
                // Those that were refused before are in the log; this one is counted.
                drop(context.sample(RequestProtocol::Http2));
                return respond.send_reset(h2::Reason::REFUSED_STREAM);
            }
        };
        let share = Share {
            permit,
            head,
            priority: if is_first {
                Priority::First
            } else {
                Priority::Additional
            },
            unsent: Arc::clone(&self.unsent),
            load: context.load.share(),
        };
        let metrics = Arc::clone(&context.metrics);
        // Boxed at once: it is large, and to move it costs more than the rest of this.
        let work = Box::pin(http2_forward::serve(request, respond, context, share));
        self.streams.push(Guarded { work, metrics });
    }
}
