//! One HTTP/1.1 request forwarded to either kind of upstream, and its response.

use bytes::Bytes;
use http::Request;

use crate::io::Duplex;
use crate::metrics::RequestProtocol;
use crate::proxy::codec::h1::connection::H1;
use crate::proxy::codec::message::Framing;
use crate::proxy::context::{Context, Sample};
use crate::proxy::downstream::http1_end::{Next, RequestMeta, conclude, outgoing, reply_to_error};
use crate::proxy::downstream::http1_signed::respond_signed;
use crate::proxy::error::{Outcome, UpstreamError};
use crate::proxy::exchange::{Exchange, Upload};
use crate::proxy::observers::Observed;
use crate::proxy::round_trip::{
    self, InterimHead, RoundTripError, UpstreamRequest, UpstreamResponse,
};
use crate::proxy::tunnel;
use crate::proxy::upstream::Priority;
use crate::signature::BodyDigest;

/// A request whose head was validated.
pub(super) struct ParsedRequest {
    pub(super) route: Route,
    /// What its body must come to.
    pub(super) digest: Option<Box<BodyDigest>>,
    pub(super) facts: RequestMeta,
    /// What access log and traces know of it.
    pub(super) observed: Option<Box<Observed>>,
}

pub(super) enum Route {
    Http1(Bytes),
    Http2(Box<Request<()>>),
}

/// Serves a request whose head was validated.
pub(super) async fn forward<S: Duplex>(
    client: &mut H1<S>,
    context: &Context,
    parsed: ParsedRequest,
) -> Next {
    let ParsedRequest {
        route,
        facts,
        observed,
        ..
    } = parsed;
    let mut sample = context.sample(if facts.websocket {
        RequestProtocol::Websocket
    } else {
        RequestProtocol::Http1
    });
    sample.observed = observed;
    let interim = |client: &mut H1<S>, head: InterimHead<'_>| {
        if facts.minor == 1 {
            client.queue(head.to_http1());
        }
    };
    match route {
        Route::Http1(head) => {
            let upstream_request = UpstreamRequest {
                head,
                framing: facts.framing,
                is_head: facts.is_head,
                idempotent: facts.idempotent,
                upgrade: facts.websocket,
                priority: Priority::First,
            };
            let response = round_trip::send_http1(client, context, upstream_request, interim).await;
            respond(client, context, &facts, response, &mut sample).await
        }
        Route::Http2(request) => {
            let without_body = matches!(facts.framing, Framing::None | Framing::Length(0));
            let sending = round_trip::send_http2(client, context, *request, without_body, interim);
            let response = sending.await;
            respond(client, context, &facts, response, &mut sample).await
        }
    }
}

/// Forwards a response of either kind of upstream, or says why there is none.
async fn respond<S: Duplex, R: UpstreamResponse>(
    client: &mut H1<S>,
    context: &Context,
    meta: &RequestMeta,
    response: Result<R, RoundTripError>,
    sample: &mut Sample<'_>,
) -> Next {
    let mut response = match response {
        Ok(response) => response,
        Err(why) => return reply_to_error(client, context, meta, why, sample).await,
    };
    if let Some(receipt) = &meta.receipt {
        let responding = respond_signed(client, context, (meta, receipt), response, sample);
        return Box::pin(responding).await;
    }
    let timed = context.streams.is_some();
    let outgoing = |incoming| outgoing(client, meta, incoming, context);
    let head = match response.to_http1(meta.is_head, timed, outgoing) {
        Ok(head) => head,
        Err(error) => {
            let why = UpstreamError::BadResponse(error).into();
            return reply_to_error(client, context, meta, why, sample).await;
        }
    };
    sample.responded_with(head.status);
    client.start_message(head.bytes, head.framing);
    if head.status == 101 {
        response.start_tunnel();
        return match tunnel::tunnel(client, response.body(), context, sample).await {
            Outcome::Closed => Next::Close(Outcome::Closed),
            Outcome::ClientGone => Next::Gone(Outcome::ClientGone),
            broken => Next::Break(broken),
        };
    }
    let after = head.after;
    let (timeouts, upload) = (context.settings.timeouts(), response.upload());
    let exchange = Exchange::resumed(client, response.body(), timeouts, upload);
    let mut exchange = exchange.timing(sample.clock(|| head.stream));
    let result = exchange.run().await;
    let complete = result.is_ok() && exchange.upload() == Upload::Done;
    response.end(context, complete);
    conclude(client, context, result, after, sample)
}
