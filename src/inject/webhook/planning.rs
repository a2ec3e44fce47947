//! The request of a connection: its body is read and its pod planned, with limits on what a client can hold: time for a
//! body, memory for all bodies and responses, time for the plan.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::bodies::{Bodies, Room};
use super::respond::{BODY_LIMIT, Refusal, Refused, Webhook};
use super::values::{MOST_VALUES, Values};
use super::work::{Owed, Owing, Work};
use crate::listener::ClientIp;
use crate::log_limit::{LogLimit, log_admitted};

/// For a body; the API server gives up after its own timeoutSeconds, which is 5.
const BODY_TIMEOUT: Duration = Duration::from_secs(4);
/// For the rest of a body that is refused. A client that still writes when the connection is closed gets
/// a reset and never reads why.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of it that are waited for.
const DISCARD_LIMIT: usize = 4 * BODY_LIMIT;
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

/// Bytes of a request's head, 32 more for each field (RFC 9113 §6.5.2).
const LONGEST_HEAD: usize = 8 << 10;

/// Lines about requests that are refused, of which anybody causes as many as they like.
static REFUSED: LogLimit = LogLimit::new(Duration::from_secs(1), 10);

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Reviews {
    webhook: Webhook,
    bodies: Arc<Bodies>,
    /// For bodies that are there: what waits for its client takes none of them.
    small_plans: Arc<Semaphore>,
    large_plans: Arc<Semaphore>,
    values: Arc<Semaphore>,
    owed: Owing,
}

impl Reviews {
    pub(crate) fn new(webhook: Webhook) -> Arc<Self> {
        Arc::new(Self {
            webhook,
            bodies: Arc::new(Bodies::new(BODIES)),
            small_plans: Arc::new(Semaphore::new(SMALL_PLANS)),
            large_plans: Arc::new(Semaphore::new(LARGE_PLANS)),
            values: Arc::new(Semaphore::new(PLANNED_VALUES)),
            owed: Owing::default(),
        })
    }

    /// The requests of all connections that are owed a response.
    pub(crate) fn owed(&self) -> &Owing {
        &self.owed
    }

    pub(super) async fn respond_to(
        self: Arc<Self>,
        request: Request<Incoming>,
        work: Arc<Work>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let owed = work.owes();
        let (head, body) = request.into_parts();
        let (mut body, head_size) = (pin!(body), size(&head));
        if head_size > LONGEST_HEAD {
            // Before the rest is read: its fields take many times the bytes that they came as.
            drop(head);
            discard(body).await;
            let response = self.webhook.refuse(&Refusal::bad_head(true));
            return Ok(self.responded(response, &work, owed));
        }
        let response = match timeout(BODY_TIMEOUT, self.read(head_size, body.as_mut())).await {
            Ok(Ok(body)) => {
                // Not before: a connection that waits for its client may have to make room.
                let _open = work.request();
                self.plan(head, body).await
            }
            Ok(Err(refusal)) => self.webhook.refuse(&refusal),
            Err(_) => self.webhook.refuse(&Refusal::slow_body()),
        };
        Ok(self.responded(response, &work, owed))
    }

    fn responded(
        &self,
        response: Response<Bytes>,
        work: &Work,
        owed: Owed,
    ) -> Response<Full<Bytes>> {
        if let Some(Refused(reason)) = response.extensions().get() {
            log_refused(work.client(), response.status(), reason);
        }
        let hold = |response| work.untaken().hold(&self.bodies, response, owed);
        response.map(|response| Full::new(hold(response)))
    }

    /// Counts and logs a head that hyper refused before it became a request.
    pub(super) fn refused_head(&self, client: IpAddr, is_large: bool) {
        let refusal = Refusal::bad_head(is_large);
        self.webhook.refuse(&refusal);
        log_refused(client, refusal.status, refusal.reason);
    }

    /// Reads a body up to the limit; it may have to give way to others.
    async fn read(
        &self,
        head_size: usize,
        mut body: Pin<&mut Incoming>,
    ) -> Result<Arrived, Refusal> {
        if body.size_hint().lower() > BODY_LIMIT as u64 {
            discard(body).await;
            return Err(Refusal::body_too_large());
        }
        let broken = || Refusal {
            status: StatusCode::BAD_REQUEST,
            reason: "broken_body",
            message: "the body broke off".into(),
        };
        let (mut text, room) = (BytesMut::new(), self.bodies.enter(Arc::default()));
        // A field takes about twice its bytes.
        room.grow(2 * head_size);
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
    async fn plan(self: &Arc<Self>, head: Parts, body: Arrived) -> Response<Bytes> {
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

    fn respond(&self, head: &Parts, body: &[u8]) -> Response<Bytes> {
        let headers: &HeaderMap = &head.headers;
        self.webhook
            .respond(&head.method, head.uri.path(), headers, body)
    }
}

/// A body that is there, and its room.
struct Arrived {
    text: Bytes,
    values: usize,
    room: Room,
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

fn size(head: &Parts) -> usize {
    let fields = head.headers.iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + 32);
    head.uri.path().len() + head.uri.query().map_or(0, str::len) + fields.sum::<usize>()
}

fn log_refused(client: IpAddr, status: StatusCode, reason: &'static str) {
    log_admitted!(
        info,
        REFUSED.admit(),
        "refused a request",
        client = %ClientIp(client),
        status = status.as_u16(),
        reason
    );
}

#[cfg(test)]
mod tests;
