//! One connection of the webhook: HTTP/1.1 or HTTP/2 over any byte stream, with limits on what a client
//! can hold: time for a head, time for a body, memory for large bodies, time for the plan.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::large::{LargeBodies, Room};
use super::respond::{BODY_LIMIT, Refusal, Webhook};
use crate::drain::{Phase, Watch};
use crate::listener::Activity;
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
/// Bodies above this share the memory for large ones; usual is 4 to 12 KiB.
const SMALL_BODY: usize = 128 << 10;
/// Bytes of large bodies that are still on their way, all together.
const LARGE_BODIES: usize = 4 * BODY_LIMIT;
/// Large bodies that are planned at once.
const LARGE_PLANS: usize = 4;
/// Streams of one HTTP/2 connection.
const MAX_STREAMS: u32 = 64;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Reviews {
    webhook: Webhook,
    arriving: LargeBodies,
    /// For bodies that are there: what waits for its client takes none of them.
    plans: Arc<Semaphore>,
}

impl Reviews {
    pub(crate) fn new(webhook: Webhook) -> Arc<Self> {
        Arc::new(Self {
            webhook,
            arriving: LargeBodies::new(LARGE_BODIES),
            plans: Arc::new(Semaphore::new(LARGE_PLANS)),
        })
    }

    async fn respond_to(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let response = match timeout(BODY_TIMEOUT, self.read(body)).await {
            Ok(Ok(body)) => self.plan(head, body).await,
            Ok(Err(refusal)) => self.webhook.refuse(&refusal),
            Err(_) => self.webhook.refuse(&slow_body()),
        };
        Ok(response.map(Full::new))
    }

    /// Reads a body up to the limit; beyond the usual size it may have to give way to others.
    async fn read(&self, body: Incoming) -> Result<Bytes, Refusal> {
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
        let (mut text, mut room): (BytesMut, Option<Room<'_>>) = (BytesMut::new(), None);
        loop {
            let frame = match &room {
                None => body.frame().await,
                Some(room) => tokio::select! {
                    biased;
                    frame = body.frame() => frame,
                    () = room.evicted() => return Err(slow_body()),
                },
            };
            let Some(frame) = frame else {
                return Ok(text.freeze());
            };
            let Ok(data) = frame.map_err(|_| broken())?.into_data() else {
                continue;
            };
            if text.len() + data.len() > BODY_LIMIT {
                drop((text, room));
                discard(body).await;
                return Err(Refusal::body_too_large());
            }
            match &room {
                Some(room) => room.grow(data.len()),
                None if text.len() + data.len() > SMALL_BODY => {
                    let entered = self.arriving.enter();
                    entered.grow(text.len() + data.len());
                    room = Some(entered);
                }
                None => {}
            }
            text.extend_from_slice(&data);
        }
    }

    /// Small pods are planned in place; a large one must not hold up the others.
    async fn plan(self: &Arc<Self>, head: http::request::Parts, body: Bytes) -> Response<Bytes> {
        if body.len() <= SMALL_BODY {
            return self.respond(&head, &body);
        }
        let planned = async {
            let permit = Arc::clone(&self.plans).acquire_owned().await;
            let this = Arc::clone(self);
            // The thread goes on when the budget is used up, so it keeps the permit.
            tokio::task::spawn_blocking(move || {
                let _permit = permit;
                this.respond(&head, &body)
            })
            .await
        };
        match timeout(PLAN_BUDGET, planned).await {
            Ok(Ok(response)) => response,
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

fn slow_body() -> Refusal {
    Refusal {
        status: StatusCode::REQUEST_TIMEOUT,
        reason: "slow_body",
        message: "the body did not arrive in time".into(),
    }
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

/// The requests of one connection that are under way: without one it may have to make room.
pub(crate) struct Work {
    activity: Arc<Activity>,
    open: AtomicUsize,
}

impl Work {
    pub(crate) fn new(activity: Arc<Activity>) -> Self {
        activity.idle(Instant::now());
        Self {
            activity,
            open: AtomicUsize::new(0),
        }
    }

    /// One request, until dropped.
    fn request(self: &Arc<Self>) -> OpenRequest {
        if self.open.fetch_add(1, Ordering::Relaxed) == 0 {
            self.activity.begin();
        }
        OpenRequest(Arc::clone(self))
    }
}

struct OpenRequest(Arc<Work>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.activity.idle(Instant::now());
        }
    }
}

/// Serves a connection until the client closes it, a drain ends it or it has to make room.
pub(crate) async fn serve<IO>(
    io: IO,
    alpn: Alpn,
    reviews: Arc<Reviews>,
    watch: Watch,
    work: Arc<Work>,
) where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let open = Arc::clone(&work);
    let service = service_fn(move |request| {
        let (reviews, open) = (Arc::clone(&reviews), open.request());
        async move {
            let response = reviews.respond_to(request).await;
            drop(open);
            response
        }
    });
    let io = TokioIo::new(io);
    // A broken connection is the client's affair; its requests were responded to or are lost with it.
    match alpn {
        Alpn::Http1 => {
            let mut builder = http1::Builder::new();
            builder
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT);
            let connection = pin!(builder.serve_connection(io, service));
            let _ = until_drained(
                connection,
                watch,
                &work.activity,
                http1::Connection::graceful_shutdown,
            )
            .await;
        }
        Alpn::Http2 => {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .max_concurrent_streams(MAX_STREAMS)
                .keep_alive_interval(Duration::from_secs(30));
            let connection = pin!(builder.serve_connection(io, service));
            let _ = until_drained(
                connection,
                watch,
                &work.activity,
                http2::Connection::graceful_shutdown,
            )
            .await;
        }
    }
}

/// Drives a connection; a drain lets the request under way finish and takes no other. One that has to
/// make room has none under way, and a moment for its last bytes.
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
