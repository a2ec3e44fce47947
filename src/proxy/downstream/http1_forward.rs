//! One HTTP/1.1 request forwarded to either kind of upstream, and its answer passed back.

use bytes::{Bytes, BytesMut};
use http::Request;
use http::header::CONTENT_TYPE;

use crate::io::Duplex;
use crate::metrics::RequestProtocol;
use crate::proxy::codec::h1::connection::H1;
use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::codec::h1::request::no_fields;
use crate::proxy::codec::h1::response::{
    Persistence, ResponseHead, framing_of_http2, write_from_http2,
};
use crate::proxy::codec::headers::{self, EVIDENCE, put_field};
use crate::proxy::codec::message::{Framing, MessageStream};
use crate::proxy::context::{Context, Sample};
use crate::proxy::downstream::http1_end::{Next, RequestMeta, conclude, outgoing, unanswered};
use crate::proxy::downstream::http1_signed::{respond_signed, respond_signed_from_http2};
use crate::proxy::error::{Outcome, UpstreamError};
use crate::proxy::exchange::{Exchange, Upload};
use crate::proxy::observers::Observed;
use crate::proxy::pace::{announces_stream, is_stream};
use crate::proxy::round_trip::{self, Http1Response, UpstreamRequest};
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
    asked: ParsedRequest,
) -> Next {
    let ParsedRequest {
        route,
        facts,
        observed,
        ..
    } = asked;
    let mut sample = context.sample(if facts.websocket {
        RequestProtocol::Websocket
    } else {
        RequestProtocol::Http1
    });
    sample.observed = observed;
    match route {
        Route::Http1(head) => over_http1(client, context, &facts, &head, &mut sample).await,
        Route::Http2(request) => over_http2(client, context, &facts, *request, &mut sample).await,
    }
}

async fn over_http1<S: Duplex>(
    client: &mut H1<S>,
    context: &Context,
    asked: &RequestMeta,
    head: &Bytes,
    sample: &mut Sample<'_>,
) -> Next {
    let ask = UpstreamRequest {
        head,
        framing: asked.framing,
        is_head: asked.is_head,
        idempotent: asked.idempotent,
        upgrade: asked.websocket,
        priority: Priority::First,
    };
    let interim = |client: &mut H1<S>, head: &ResponseHead<'_>| {
        if asked.minor == 1 {
            let mut out = BytesMut::new();
            head.write_to(&mut out, Framing::None, Persistence::Default);
            client.queue(out.freeze());
        }
    };
    match round_trip::send_http1(client, context, &ask, interim).await {
        Ok(answered) => respond(client, context, asked, answered, sample).await,
        Err(why) => unanswered(client, context, asked, why, sample).await,
    }
}

/// Passes a response on whose head stands in the connection's buffer.
async fn respond<S: Duplex>(
    client: &mut H1<S>,
    context: &Context,
    asked: &RequestMeta,
    answered: Http1Response,
    sample: &mut Sample<'_>,
) -> Next {
    let Http1Response {
        connection: mut up,
        length,
        upload,
    } = answered;
    if let Some(receipt) = &asked.receipt {
        let asked = (asked, &**receipt);
        let answering = respond_signed(client, context, asked, up, (length, upload), sample);
        return Box::pin(answering).await;
    }
    let group = up.stream().group();
    let head = match rewrite(up.head(length), group, client, asked, context) {
        Ok(head) => head,
        Err(error) => {
            let why = UpstreamError::BadResponse(error).into();
            return unanswered(client, context, asked, why, sample).await;
        }
    };
    sample.answered_with(head.status);
    up.start_body(length, head.incoming);
    client.start_message(head.bytes, head.outgoing);
    if head.status == 101 {
        return match tunnel::tunnel(client, &mut up, context, sample).await {
            Outcome::Closed => Next::Close(Outcome::Closed),
            Outcome::ClientGone => Next::Gone(Outcome::ClientGone),
            broken => Next::Break(broken),
        };
    }
    let (kept, after) = (head.kept, head.after);
    let (idle, clock) = (context.settings.idle_timeout, sample.clock(|| head.stream));
    let mut exchange = Exchange::resumed(client, &mut *up, idle, upload).timing(idle, clock);
    let result = exchange.run().await;
    let upload = exchange.upload();
    if result.is_ok() && kept && upload == Upload::Done && up.is_drained() {
        context.upstream.checkin(up);
    }
    conclude(client, context, result, after, sample)
}

/// Passes a request on to an HTTP/2 upstream.
async fn over_http2<S: Duplex>(
    client: &mut H1<S>,
    context: &Context,
    asked: &RequestMeta,
    request: Request<()>,
    sample: &mut Sample<'_>,
) -> Next {
    let without_body = matches!(asked.framing, Framing::None | Framing::Length(0));
    let interim = |client: &mut H1<S>, response: http::Response<()>| {
        if asked.minor == 1 {
            let mut out = BytesMut::new();
            write_from_http2(&response, &mut out, Framing::None, Persistence::Default);
            client.queue(out.freeze());
        }
    };
    let asking = round_trip::send_http2(client, context, request, without_body, interim);
    let mut answered = match asking.await {
        Ok(answered) => answered,
        Err(why) => return unanswered(client, context, asked, why, sample).await,
    };
    let incoming = framing_of_http2(&answered.response, asked.is_head, answered.stream.at_end());
    if let Some(receipt) = &asked.receipt {
        let answering = respond_signed_from_http2(
            client,
            context,
            (asked, receipt),
            answered,
            incoming,
            sample,
        );
        return Box::pin(answering).await;
    }
    sample.answered_with(answered.response.status().as_u16());
    let (framing, after) = outgoing(client, asked, incoming, context);
    let mut out = BytesMut::new();
    if let Some(group) = answered.group() {
        headers::put_evidence(answered.response.headers_mut(), group);
    }
    write_from_http2(&answered.response, &mut out, framing, after);
    client.start_message(out.freeze(), framing);
    let idle = context.settings.idle_timeout;
    let clock = sample.clock(|| announces_stream(answered.response.headers().get(CONTENT_TYPE)));
    let mut exchange =
        Exchange::resumed(client, &mut answered.stream, idle, answered.upload).timing(idle, clock);
    let result = exchange.run().await;
    let upload = exchange.upload();
    if result.is_err() || upload != Upload::Done {
        answered.stream.cancel();
    }
    conclude(client, context, result, after, sample)
}

/// A response head as the client gets it. Made outside the future, which must not grow by the room
/// that parsing needs.
struct Rewritten {
    status: u16,
    bytes: Bytes,
    incoming: Framing,
    outgoing: Framing,
    /// Its body comes in pieces over time, as far as that matters.
    stream: bool,
    /// The upstream keeps its connection.
    kept: bool,
    after: Persistence,
}

fn rewrite<S: Duplex>(
    head: &[u8],
    group: Option<&'static str>,
    client: &H1<S>,
    asked: &RequestMeta,
    context: &Context,
) -> Result<Rewritten, HeadError> {
    let mut fields_buf = no_fields();
    let mut head = ResponseHead::parse(head, &mut fields_buf, asked.is_head)?;
    if group.is_some() {
        head.leave_out(EVIDENCE);
    }
    let (outgoing, after) = outgoing(client, asked, head.framing, context);
    let mut bytes = BytesMut::new();
    if head.status == 101 {
        head.write_upgrade_to(&mut bytes);
    } else {
        head.write_to(&mut bytes, outgoing, after);
    }
    if let Some(group) = group {
        // Before the blank line.
        bytes.truncate(bytes.len() - 2);
        put_field(&mut bytes, EVIDENCE.as_bytes(), group.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    Ok(Rewritten {
        status: head.status,
        bytes: bytes.freeze(),
        incoming: head.framing,
        outgoing,
        stream: context.streams.is_some() && head.content_type().is_some_and(is_stream),
        kept: head.keep_alive,
        after,
    })
}
