//! A round trip to an HTTP/2 upstream.

use std::pin::Pin;
use std::task::Poll;

use h2::client::ResponseFuture;
use http::{Request, Response, StatusCode};

use super::ahead::reading_ahead;
use super::error::RoundTripError;
use super::interim::{Interim, InterimHead};
use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::codec::h2::opened_stream::OpenedStream;
use crate::proxy::codec::headers;
use crate::proxy::codec::message::{MessageStream, is_idempotent};
use crate::proxy::context::Context;
use crate::proxy::error::UpstreamError;
use crate::proxy::exchange::{Exchange, Upload};
use crate::proxy::upstream::http2::{Opening, UpstreamPermit};

/// How often a request is sent again that a server did not process.
const MAX_AGAIN: usize = 2;

/// A final response head of an HTTP/2 server.
pub(crate) struct Http2Response {
    pub(super) stream: OpenedStream,
    pub(super) response: Response<()>,
    /// How far the request got.
    pub(super) upload: Upload,
    /// Kept until the stream ends.
    permit: UpstreamPermit,
}

impl Http2Response {
    /// The group of the keys that it came with, where there are any.
    pub(super) fn group(&self) -> Option<&'static str> {
        self.permit.group()
    }
}

enum Head {
    Interim(Response<()>),
    Final(Response<h2::RecvStream>),
}

/// Sends a request over HTTP/2 and waits for the head of its response; `without_body`: the request ends with its head.
///
/// It is sent again on another connection if nothing of its body is gone, and the server either did
/// not process it (RFC 9113 §8.7), on a new connection too, or closed a shared one, as over HTTP/1.1.
pub(crate) async fn send_http2<D: MessageStream>(
    down: &mut D,
    context: &Context,
    mut request: Request<()>,
    without_body: bool,
    mut interim: impl FnMut(&mut D, InterimHead<'_>),
) -> Result<Http2Response, RoundTripError> {
    let idempotent = is_idempotent(request.method().as_str());
    let mut left = MAX_AGAIN;
    loop {
        let opening = reading_ahead(down, context.upstream.open_stream()).await??;
        let reused = opening.reused;
        let again = (left > 0).then(|| request.clone());
        let failed =
            match attempt(down, context, opening, request, without_body, &mut interim).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
        let may_repeat = match &failed.why {
            RoundTripError::Upstream(UpstreamError::Unprocessed) => true,
            RoundTripError::Upstream(why) => reused && idempotent && why.is_of_connection(),
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

/// Sends it once.
async fn attempt<D: MessageStream>(
    down: &mut D,
    context: &Context,
    opening: Opening,
    request: Request<()>,
    without_body: bool,
    interim: &mut impl FnMut(&mut D, InterimHead<'_>),
) -> Result<Http2Response, Failed> {
    let Opening {
        mut sender, permit, ..
    } = opening;
    let sent = sender.send_request(request, without_body);
    let (mut pending, stream) = sent.map_err(|_| Failed {
        why: UpstreamError::Unprocessed.into(),
        body_taken: false,
    })?;
    // Once our request has ended, the h2 crate knows itself.
    let end = (!without_body).then(|| permit.watch_end(stream.stream_id()));
    let mut stream = OpenedStream::new(stream, without_body, permit.outgoing(), end);
    let mut exchange = Exchange::new(down, &mut stream, context.settings.timeouts());
    let secured = permit.group().is_some();
    let waited = response(&mut exchange, &mut pending, |down: &mut D, mut head| {
        if secured {
            // Only we say how it was keyed.
            head.headers_mut().remove(headers::EVIDENCE);
        }
        interim(down, InterimHead::Http2(head));
    });
    let waited = waited.await;
    let (upload, body_taken) = (exchange.upload(), exchange.body_taken);
    match waited {
        Ok(response) => {
            let (head, body) = response.into_parts();
            stream.start_body(body);
            Ok(Http2Response {
                stream,
                response: Response::from_parts(head, ()),
                upload,
                permit,
            })
        }
        Err(why) => {
            stream.cancel();
            let why = match why {
                RoundTripError::Upstream(UpstreamError::Closed) => permit.end().into(),
                why => why,
            };
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
    mut interim: impl FnMut(&mut D, Response<()>),
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
            // HTTP/2 has no switch of protocols (RFC 9113 §8.6); an HTTP/1.1 client would take it for one.
            Ok(Head::Interim(response)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                return Err(UpstreamError::BadResponse(HeadError::Switch).into());
            }
            Ok(Head::Interim(response)) => {
                passed.count(headers::size(response.headers()))?;
                interim(exchange.down, response);
            }
            Ok(Head::Final(response)) => return Ok(response),
            Err(error) if was_not_processed(&error) => {
                return Err(UpstreamError::Unprocessed.into());
            }
            Err(error) => return Err(UpstreamError::of_http2(&error).into()),
        }
    }
}

/// Whether the server said that it has not looked at the request: a GOAWAY that leaves its stream
/// out, or REFUSED_STREAM (RFC 9113 §6.8, §8.7).
fn was_not_processed(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    error.is_remote() && (error.is_go_away() || refused)
}
