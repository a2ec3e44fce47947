//! Asks the upstream: a request out, its body forwarded meanwhile, the response head back.
//! The client may be of either HTTP version.

use std::pin::Pin;
use std::task::{Poll, ready};

use bytes::Bytes;
use h2::client::ResponseFuture;
use http::{Request, Response};

use crate::proxy::codec::h1::connection::{H1, ReadError};
use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::codec::h1::request::no_fields;
use crate::proxy::codec::h1::response::ResponseHead;
use crate::proxy::codec::h2::stream::OpenedStream;
use crate::proxy::codec::headers;
use crate::proxy::codec::message::Framing;
use crate::proxy::codec::message::is_idempotent;
use crate::proxy::codec::message::{MessageError, MessageStream};
use crate::proxy::context::Context;
use crate::proxy::error::UpstreamError;
use crate::proxy::exchange::{Broken, Exchange, Upload};
use crate::proxy::upstream::http2::{Opening, UpstreamPermit};
use crate::proxy::upstream::{Lease, Priority, Socket};

/// Bytes of a response head before it counts as malformed.
const MAX_RESPONSE_HEAD: usize = 256 * 1024;

/// Interim responses of one request (RFC 9110 §15.2), and their bytes: no progress takes more, and over
/// HTTP/2 they wait for a client that does not read.
const MAX_INTERIM: usize = 32;
const MAX_INTERIM_BYTES: usize = 16 * 1024;
/// How often a request is sent again that a server did not process.
const MAX_AGAIN: usize = 2;

/// A request for an HTTP/1.1 upstream.
pub(crate) struct UpstreamRequest<'a> {
    /// The head as it will be sent.
    pub(crate) head: &'a Bytes,
    /// How its body ends.
    pub(crate) framing: Framing,
    /// The method is HEAD.
    pub(crate) is_head: bool,
    /// It may be sent twice (RFC 9110 §9.2.2).
    pub(crate) idempotent: bool,
    /// It asks for a switch of protocols.
    pub(crate) upgrade: bool,
    /// What it is to its client's connection.
    pub(crate) priority: Priority,
}

/// A final response head of an HTTP/1.1 server, still in the connection's buffer.
pub(crate) struct Http1Response {
    pub(crate) connection: Box<H1<Socket>>,
    /// Bytes of the head.
    pub(crate) length: usize,
    /// How far the request got.
    pub(crate) upload: Upload,
}

/// A final response head of an HTTP/2 server.
pub(crate) struct Http2Response {
    pub(crate) stream: OpenedStream,
    pub(crate) response: Response<()>,
    /// How far the request got.
    pub(crate) upload: Upload,
    /// IdleConn until the stream ends.
    _place: UpstreamPermit,
}

/// What came instead of a response head.
pub(crate) enum RoundTripError {
    /// The client went away.
    Client,
    /// The client's body broke its framing.
    BadBody,
    /// The upstream failed.
    Upstream(UpstreamError),
}

impl From<UpstreamError> for RoundTripError {
    fn from(error: UpstreamError) -> Self {
        Self::Upstream(error)
    }
}

impl From<Broken> for RoundTripError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Client(MessageError::Framing(_)) => Self::BadBody,
            Broken::Client(_) => Self::Client,
            Broken::Upstream(_) => Self::Upstream(UpstreamError::Closed),
            Broken::Idle => Self::Upstream(UpstreamError::Idle),
        }
    }
}

/// Asks over HTTP/1.1. `interim` forwards what comes before the final head (RFC 9110 §15.2).
///
/// A kept connection that turns out to be closed is replaced by a new one if the request cannot
/// have been acted upon, or may be sent twice, and nothing of its body is gone.
pub(crate) async fn send_http1<D: MessageStream>(
    down: &mut D,
    context: &Context,
    ask: &UpstreamRequest<'_>,
    mut interim: impl FnMut(&mut D, &ResponseHead<'_>),
) -> Result<Http1Response, RoundTripError> {
    let upstream = &context.upstream;
    let mut lease = upstream.lease(!ask.idempotent, ask.priority).await?;
    loop {
        let Lease { connection, reused } = &mut lease;
        connection.start_message(ask.head.clone(), ask.framing);
        // Before a switch of protocols nothing of the client's belongs to the request.
        let upload = if ask.upgrade {
            Upload::Ending
        } else {
            Upload::Open
        };
        let idle = context.settings.idle_timeout;
        let mut exchange = Exchange::resumed(down, &mut **connection, idle, upload);
        let waited = final_head(&mut exchange, ask, &mut interim).await;
        let (upload, body_taken) = (exchange.upload(), exchange.body_taken);
        match waited {
            Ok(length) => {
                return Ok(Http1Response {
                    connection: lease.connection,
                    length,
                    upload,
                });
            }
            Err(RoundTripError::Upstream(UpstreamError::Closed))
                if *reused && !body_taken && (ask.idempotent || !connection.has_sent()) =>
            {
                lease = upstream.lease_new(ask.priority).await?;
            }
            Err(unanswered) => return Err(unanswered),
        }
    }
}

async fn final_head<D: MessageStream>(
    exchange: &mut Exchange<'_, D, H1<Socket>>,
    ask: &UpstreamRequest<'_>,
    interim: &mut impl FnMut(&mut D, &ResponseHead<'_>),
) -> Result<usize, RoundTripError> {
    let mut passed = Interim::default();
    loop {
        // An interim response waits for room at the client's side before the next is read.
        let length = exchange
            .upload_until(|down, up, cx| {
                let room = ready!(down.poll_ready(cx));
                room.map_err(|error| RoundTripError::from(Broken::Client(error)))?;
                let head = ready!(up.poll_head(cx, MAX_RESPONSE_HEAD));
                Poll::Ready(head.map_err(|error| RoundTripError::from(unreadable(error))))
            })
            .await??;
        if is_final(exchange, length, ask, &mut passed, interim)? {
            return Ok(length);
        }
        exchange.up.start_body(length, Framing::None);
    }
}

/// The interim responses of a request so far.
#[derive(Default)]
struct Interim {
    count: usize,
    bytes: usize,
}

impl Interim {
    fn count(&mut self, bytes: usize) -> Result<(), UpstreamError> {
        self.count += 1;
        self.bytes += bytes;
        if self.count > MAX_INTERIM || self.bytes > MAX_INTERIM_BYTES {
            return Err(UpstreamError::BadResponse(HeadError::TooManyInterim));
        }
        Ok(())
    }
}

/// Judges a head that was read; an interim one is forwarded.
fn is_final<D: MessageStream>(
    exchange: &mut Exchange<'_, D, H1<Socket>>,
    length: usize,
    ask: &UpstreamRequest<'_>,
    passed: &mut Interim,
    interim: &mut impl FnMut(&mut D, &ResponseHead<'_>),
) -> Result<bool, UpstreamError> {
    let head = exchange.up.head(length);
    // Most are final by their first digit, and are parsed where they are forwarded.
    if matches!(head.get(..10), Some([.., b'2'..=b'5'])) {
        return Ok(true);
    }
    let mut fields_buf = no_fields();
    let head = ResponseHead::parse(head, &mut fields_buf, ask.is_head)
        .map_err(UpstreamError::BadResponse)?;
    match head.status {
        101 if ask.upgrade && head.to_websocket => Ok(true),
        101 => Err(UpstreamError::BadResponse(HeadError::Switch)),
        100..200 => {
            passed.count(length)?;
            interim(exchange.down, &head);
            Ok(false)
        }
        _ => Ok(true),
    }
}

fn unreadable(error: ReadError) -> UpstreamError {
    match error {
        ReadError::Closed | ReadError::Broken => UpstreamError::Closed,
        ReadError::Head(error) => UpstreamError::BadResponse(error),
    }
}

enum Head {
    Interim(Response<()>),
    Final(Response<h2::RecvStream>),
}

/// Asks over HTTP/2; `without_body`: the request ends with its head.
///
/// It is sent again on another connection if nothing of its body is gone, and the server either did
/// not process it (RFC 9113 §8.7) or closed a shared connection, as over HTTP/1.1.
pub(crate) async fn send_http2<D: MessageStream>(
    down: &mut D,
    context: &Context,
    mut request: Request<()>,
    without_body: bool,
    mut interim: impl FnMut(&mut D, Response<()>),
) -> Result<Http2Response, RoundTripError> {
    let idempotent = is_idempotent(request.method().as_str());
    let mut left = MAX_AGAIN;
    loop {
        let opening = context.upstream.open_stream().await?;
        let again = (opening.reused && left > 0).then(|| request.clone());
        let failed =
            match attempt(down, context, opening, request, without_body, &mut interim).await {
                Ok(answered) => return Ok(answered),
                Err(failed) => failed,
            };
        let may_repeat = match failed.why {
            RoundTripError::Upstream(UpstreamError::Unprocessed) => true,
            RoundTripError::Upstream(UpstreamError::Closed) => idempotent,
            _ => false,
        };
        match again {
            Some(again) if may_repeat && !failed.body_taken => request = again,
            _ => return Err(failed.why),
        }
        left -= 1;
    }
}

/// An attempt without a response.
struct Failed {
    why: RoundTripError,
    /// Some of the body was taken from the client.
    body_taken: bool,
}

/// Asks once.
async fn attempt<D: MessageStream>(
    down: &mut D,
    context: &Context,
    opening: Opening,
    request: Request<()>,
    without_body: bool,
    interim: &mut impl FnMut(&mut D, Response<()>),
) -> Result<Http2Response, Failed> {
    let Opening {
        mut sender, permit, ..
    } = opening;
    let sent = sender.send_request(request, without_body);
    let (mut pending, stream) = sent.map_err(|_| Failed {
        why: UpstreamError::Unprocessed.into(),
        body_taken: false,
    })?;
    let mut stream = OpenedStream::new(stream, without_body);
    let mut exchange = Exchange::new(down, &mut stream, context.settings.idle_timeout);
    let waited = response(&mut exchange, &mut pending, interim).await;
    let (upload, body_taken) = (exchange.upload(), exchange.body_taken);
    match waited {
        Ok(response) => {
            let (head, body) = response.into_parts();
            stream.start_body(body);
            Ok(Http2Response {
                stream,
                response: Response::from_parts(head, ()),
                upload,
                _place: permit,
            })
        }
        Err(why) => {
            stream.cancel();
            if matches!(why, RoundTripError::Upstream(UpstreamError::Unprocessed)) {
                permit.retire();
            }
            Err(Failed { why, body_taken })
        }
    }
}

/// Waits for the final response. What is interim is read whether or not the client has room for it:
/// nothing but its number bounds what the h2 crate keeps of it.
async fn response<D: MessageStream>(
    exchange: &mut Exchange<'_, D, OpenedStream>,
    pending: &mut ResponseFuture,
    interim: &mut impl FnMut(&mut D, Response<()>),
) -> Result<Response<h2::RecvStream>, RoundTripError> {
    let mut passed = Interim::default();
    loop {
        let head = exchange
            .upload_until(|_, _, cx| {
                if let Poll::Ready(Some(Ok(response))) = pending.poll_informational(cx) {
                    return Poll::Ready(Ok(Head::Interim(response)));
                }
                Pin::new(&mut *pending).poll(cx).map_ok(Head::Final)
            })
            .await?;
        match head {
            Ok(Head::Interim(response)) => {
                passed.count(headers::size(response.headers()))?;
                interim(exchange.down, response);
            }
            Ok(Head::Final(response)) => return Ok(response),
            Err(error) if was_not_processed(&error) => {
                return Err(UpstreamError::Unprocessed.into());
            }
            Err(_) => return Err(UpstreamError::Closed.into()),
        }
    }
}

/// Whether the server said that it has not looked at the request: a GOAWAY that leaves its stream
/// out, or REFUSED_STREAM (RFC 9113 §6.8, §8.7).
fn was_not_processed(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    error.is_remote() && (error.is_go_away() || refused)
}
