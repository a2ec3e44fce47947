//! One connection of the webhook: HTTP/1.1 or HTTP/2 over any byte stream, with limits on what a client
//! can hold: time for a head, time for a body, memory for all bodies, time for the plan.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::bodies::{Bodies, Room};
use super::respond::{BODY_LIMIT, Refusal, Webhook};
use super::streams::Streams;
use super::values::{MOST_VALUES, Values};
use super::work::Work;
use crate::drain::{Phase, Watch};
use crate::listener::Activity;
use crate::panics::OnPanic;
use crate::tls::handshake::Alpn;

/// From the first byte of a request head to its end.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// For a body; the API server gives up after its own timeoutSeconds, which is 5.
const BODY_TIMEOUT: Duration = Duration::from_secs(4);
/// For the rest of a body that is refused. A client that still writes when the connection is closed gets
/// a reset and never reads why.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of it that are waited for.
const DISCARD_LIMIT: usize = 4 * BODY_LIMIT;
/// For the end of a connection that has to make room for another one.
const SHED_TIMEOUT: Duration = Duration::from_secs(1);
/// For one plan; usual is well under a millisecond.
const PLAN_BUDGET: Duration = Duration::from_secs(1);
/// Bodies above this are large; usual is 4 to 12 KiB.
const SMALL_BODY: usize = 128 << 10;
/// Bytes of bodies that are on their way or wait for their plan, all together.
const BODIES: usize = 4 * BODY_LIMIT;
/// Bodies that are planned at once: a large one must not hold up the others.
const SMALL_PLANS: usize = 8;
const LARGE_PLANS: usize = 4;
/// Values of all reviews that are planned at once: they take some 80 MB.
const PLANNED_VALUES: usize = 2 * MOST_VALUES;
/// Streams of one HTTP/2 connection. The API server opens another one when it needs more.
const MAX_STREAMS: u32 = 16;
/// Bytes of bodies that a client may send and nobody has read yet, of a stream and of a connection.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 128 << 10;
/// Bytes of the fields of a request.
const MAX_FIELDS: u32 = 8 << 10;
/// Bytes that HTTP/1.1 reads ahead, the head of a request among them.
const READ_AHEAD: usize = 64 << 10;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Reviews {
    webhook: Webhook,
    bodies: Bodies,
    /// For bodies that are there: what waits for its client takes none of them.
    small_plans: Arc<Semaphore>,
    large_plans: Arc<Semaphore>,
    values: Arc<Semaphore>,
}

impl Reviews {
    pub(crate) fn new(webhook: Webhook) -> Arc<Self> {
        Arc::new(Self {
            webhook,
            bodies: Bodies::new(BODIES),
            small_plans: Arc::new(Semaphore::new(SMALL_PLANS)),
            large_plans: Arc::new(Semaphore::new(LARGE_PLANS)),
            values: Arc::new(Semaphore::new(PLANNED_VALUES)),
        })
    }

    async fn respond_to(
        self: Arc<Self>,
        request: Request<Incoming>,
        work: Arc<Work>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let response = match timeout(BODY_TIMEOUT, self.read(body)).await {
            Ok(Ok(body)) => {
                // Not before: a connection that waits for its client may have to make room.
                let _open = work.request();
                self.plan(head, body).await
            }
            Ok(Err(refusal)) => self.webhook.refuse(&refusal),
            Err(_) => self.webhook.refuse(&Refusal::slow_body()),
        };
        Ok(response.map(Full::new))
    }

    /// Reads a body up to the limit; it may have to give way to others.
    async fn read(&self, body: Incoming) -> Result<Arrived<'_>, Refusal> {
        let mut body = pin!(body);
        if body.size_hint().lower() > BODY_LIMIT as u64 {
            discard(body).await;
            return Err(Refusal::body_too_large());
        }
        let broken = || Refusal {
            status: StatusCode::BAD_REQUEST,
            reason: "broken_body",
            message: "the body broke off".into(),
        };
        let (mut text, room) = (BytesMut::new(), self.bodies.enter());
        let (mut counted, mut values) = (Values::default(), 0);
        loop {
            let frame = tokio::select! {
                biased;
                frame = body.frame() => frame,
                () = room.evicted() => return Err(Refusal::slow_body()),
            };
            let Some(frame) = frame else {
                let text = text.freeze();
                return Ok(Arrived { text, values, room });
            };
            let Ok(data) = frame.map_err(|_| broken())?.into_data() else {
                continue;
            };
            if text.len() + data.len() > BODY_LIMIT {
                drop((text, room));
                discard(body).await;
                return Err(Refusal::body_too_large());
            }
            values = counted.add(&data);
            if values > MOST_VALUES {
                drop((text, room));
                discard(body).await;
                return Err(Refusal::too_many_values());
            }
            let held = text.capacity();
            text.extend_from_slice(&data);
            room.grow(text.capacity() - held);
        }
    }

    /// Plans on a thread of its own: no pod, however it is written, holds up the workers, which answer probes too.
    async fn plan(
        self: &Arc<Self>,
        head: http::request::Parts,
        body: Arrived<'_>,
    ) -> Response<Bytes> {
        let Arrived { text, values, room } = body;
        let plans = match text.len() {
            0..=SMALL_BODY => &self.small_plans,
            _ => &self.large_plans,
        };
        let permits = async {
            let place = Arc::clone(plans).acquire_owned().await.ok()?;
            let values = u32::try_from(values).ok()?;
            let values = Arc::clone(&self.values).acquire_many_owned(values);
            Some((place, values.await.ok()?))
        };
        let planned = async {
            let permit = tokio::select! {
                biased;
                permit = permits => permit?,
                () = room.evicted() => return None,
            };
            let this = Arc::clone(self);
            // The thread goes on when the budget is used up, so it keeps the permit.
            let planning = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                this.respond(&head, &text)
            });
            Some(planning.await.unwrap_or_else(|_| self.webhook.failed()))
        };
        match timeout(PLAN_BUDGET, planned).await {
            Ok(Some(response)) => response,
            _ => self.webhook.refuse(&Refusal {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                reason: "budget",
                message: "the plan took too long".into(),
            }),
        }
    }

    fn respond(&self, head: &http::request::Parts, body: &[u8]) -> Response<Bytes> {
        let headers: &HeaderMap = &head.headers;
        self.webhook
            .respond(&head.method, head.uri.path(), headers, body)
    }
}

/// A body that is there, and its room.
struct Arrived<'a> {
    text: Bytes,
    values: usize,
    room: Room<'a>,
}

/// Reads on and keeps nothing, within bounds.
async fn discard(mut body: Pin<&mut Incoming>) {
    let reading = async {
        let mut left = DISCARD_LIMIT;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            left = match left.checked_sub(length) {
                Some(left) => left,
                None => return,
            };
        }
    };
    // Whether it ended or not, the response is the same.
    let _ = timeout(DISCARD_TIMEOUT, reading).await;
}

/// Serves a connection until the client closes it, a drain ends it or it has to make room.
pub(crate) async fn serve<IO>(
    io: IO,
    alpn: Alpn,
    reviews: Arc<Reviews>,
    watch: Watch,
    work: Arc<Work>,
    stream_panicked: OnPanic,
) where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let open = Arc::clone(&work);
    let service =
        service_fn(move |request| Arc::clone(&reviews).respond_to(request, Arc::clone(&open)));
    let io = TokioIo::new(io);
    // A broken connection is the client's affair; its requests were responded to or are lost with it.
    match alpn {
        Alpn::Http1 => {
            let mut builder = http1::Builder::new();
            builder
                .timer(TokioTimer::new())
                .max_buf_size(READ_AHEAD)
                .header_read_timeout(HEAD_TIMEOUT);
            let connection = pin!(builder.serve_connection(io, service));
            let _ = until_drained(
                connection,
                watch,
                work.activity(),
                http1::Connection::graceful_shutdown,
            )
            .await;
        }
        Alpn::Http2 => {
            let mut builder = http2::Builder::new(Streams(stream_panicked));
            builder
                .timer(TokioTimer::new())
                .max_concurrent_streams(MAX_STREAMS)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_header_list_size(MAX_FIELDS)
                .keep_alive_interval(Duration::from_secs(30));
            let connection = pin!(builder.serve_connection(io, service));
            let _ = until_drained(
                connection,
                watch,
                work.activity(),
                http2::Connection::graceful_shutdown,
            )
            .await;
        }
    }
}

/// Drives a connection; a drain lets the request under way finish and takes no other. One that has to
/// make room waits for its client, and has a moment for its last bytes.
async fn until_drained<C>(
    mut connection: Pin<&mut C>,
    watch: Watch,
    activity: &Activity,
    shut_down: impl Fn(Pin<&mut C>),
) -> Result<(), hyper::Error>
where
    C: Future<Output = Result<(), hyper::Error>>,
{
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = watch.reached(Phase::Draining) => shut_down(connection.as_mut()),
        () = activity.shed() => {
            shut_down(connection.as_mut());
            return timeout(SHED_TIMEOUT, connection).await.unwrap_or(Ok(()));
        }
    }
    connection.await
}

#[cfg(test)]
mod tests;
