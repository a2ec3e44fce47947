//! A round trip to an HTTP/1.1 upstream.

use std::task::{Poll, ready};

use bytes::Bytes;

use super::ahead::reading_ahead;
use super::error::RoundTripError;
use super::interim::{Interim, InterimHead};
use crate::proxy::codec::h1::connection::{H1, ReadError};
use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::codec::h1::request::no_fields;
use crate::proxy::codec::h1::response::{MAX_RESPONSE_HEAD, ResponseHead};
use crate::proxy::codec::headers::EVIDENCE;
use crate::proxy::codec::message::{Framing, MessageStream};
use crate::proxy::context::Context;
use crate::proxy::error::UpstreamError;
use crate::proxy::exchange::{Broken, Exchange, Upload};
use crate::proxy::upstream::{Lease, Priority, Socket};

/// A request for an HTTP/1.1 upstream.
pub(crate) struct UpstreamRequest {
    /// The head as it will be sent; nothing once it cannot be sent again.
    pub(crate) head: Bytes,
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
    pub(super) connection: Box<H1<Socket>>,
    /// Bytes of the head.
    pub(super) length: usize,
    /// How far the request got.
    pub(super) upload: Upload,
    /// The server keeps the connection, as far as its head was read.
    pub(super) kept: bool,
}

/// Sends a request over HTTP/1.1 and waits for the head of its response. `interim` forwards what comes before the final head (RFC 9110 §15.2).
///
/// An idle connection that turns out to be closed is replaced by a new one if the request cannot
/// have been acted upon, or may be sent twice, and nothing of its body is gone.
pub(crate) async fn send_http1<D: MessageStream>(
    down: &mut D,
    context: &Context,
    mut request: UpstreamRequest,
    mut interim: impl FnMut(&mut D, InterimHead<'_>),
) -> Result<Http1Response, RoundTripError> {
    let upstream = &context.upstream;
    let leasing = upstream.lease(!request.idempotent, request.priority);
    let mut lease = reading_ahead(down, leasing).await??;
    loop {
        let Lease { connection, reused } = &mut lease;
        connection.stream_mut().set_orderly(false);
        let head = if *reused {
            request.head.clone()
        } else {
            std::mem::take(&mut request.head)
        };
        connection.start_message(head, request.framing);
        // Before a switch of protocols nothing of the client's belongs to the request.
        let upload = if request.upgrade {
            Upload::Ending
        } else {
            Upload::Open
        };
        let timeouts = context.settings.timeouts();
        let mut exchange = Exchange::resumed(down, &mut **connection, timeouts, upload);
        let waited = final_head(&mut exchange, &mut request, &mut interim).await;
        let (upload, body_taken) = (exchange.upload(), exchange.body_taken);
        match waited {
            Ok(length) => {
                return Ok(Http1Response {
                    connection: lease.connection,
                    length,
                    upload,
                    kept: false,
                });
            }
            Err(RoundTripError::Upstream(UpstreamError::Closed))
                if *reused && !body_taken && (request.idempotent || !connection.has_sent()) =>
            {
                let leasing = upstream.lease_new(request.priority);
                lease = reading_ahead(down, leasing).await??;
            }
            Err(RoundTripError::Upstream(UpstreamError::Closed)) => {
                let refused = connection.stream_mut().refusal();
                return Err(refused.unwrap_or(UpstreamError::Closed).into());
            }
            Err(error) => return Err(error),
        }
    }
}

async fn final_head<D: MessageStream>(
    exchange: &mut Exchange<'_, D, H1<Socket>>,
    request: &mut UpstreamRequest,
    interim: &mut impl FnMut(&mut D, InterimHead<'_>),
) -> Result<usize, RoundTripError> {
    let mut passed = Interim::default();
    loop {
        // An interim response waits for room at the client's side before the next is read.
        let length = exchange
            .upload_until(|down, up, cx| {
                if !request.idempotent && up.has_sent() {
                    // It is not sent again.
                    request.head = Bytes::new();
                }
                let room = ready!(down.poll_ready(cx));
                room.map_err(|error| RoundTripError::from(Broken::Client(error)))?;
                let head = ready!(up.poll_head(cx, MAX_RESPONSE_HEAD));
                Poll::Ready(head.map_err(|error| RoundTripError::from(unreadable(up, error))))
            })
            .await??;
        if is_final(exchange, length, request, &mut passed, interim)? {
            return Ok(length);
        }
        exchange.up.start_body(length, Framing::None);
    }
}

/// Whether a head that was read is final; an interim one is forwarded.
fn is_final<D: MessageStream>(
    exchange: &mut Exchange<'_, D, H1<Socket>>,
    length: usize,
    request: &UpstreamRequest,
    passed: &mut Interim,
    interim: &mut impl FnMut(&mut D, InterimHead<'_>),
) -> Result<bool, UpstreamError> {
    let secured = exchange.up.stream().group().is_some();
    let head = exchange.up.head(length);
    // Most are final by their first digit, and are parsed where they are forwarded.
    if matches!(head.get(..10), Some([.., b'2'..=b'5'])) {
        return Ok(true);
    }
    let mut fields_buf = no_fields();
    let mut head = ResponseHead::parse(head, &mut fields_buf, request.is_head)
        .map_err(UpstreamError::BadResponse)?;
    if secured {
        head.leave_out(EVIDENCE);
    }
    match head.status {
        101 if request.upgrade && head.to_websocket => Ok(true),
        101 => Err(UpstreamError::BadResponse(HeadError::Switch)),
        100..200 => {
            passed.count(length)?;
            interim(exchange.down, InterimHead::Http1(&head));
            Ok(false)
        }
        _ => Ok(true),
    }
}

fn unreadable(up: &H1<Socket>, error: ReadError) -> UpstreamError {
    if let Some(tls) = HeadError::of_tls(up.received()) {
        return UpstreamError::BadResponse(tls);
    }
    match error {
        ReadError::Closed | ReadError::Broken => UpstreamError::Closed,
        ReadError::Head(error) => UpstreamError::BadResponse(error),
    }
}
