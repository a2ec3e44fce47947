//! One HTTP/1.1 request forwarded to either kind of upstream, and its answer passed back.

use std::future::poll_fn;

use bytes::{Bytes, BytesMut};
use http::Request;

use crate::io::Duplex;
use crate::metrics::RequestProtocol;
use crate::proxy::codec::h1::connection::H1;
use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::codec::h1::request::no_fields;
use crate::proxy::codec::h1::response::{
    Persistence, ResponseHead, stated_length, write_from_http2,
};
use crate::proxy::codec::message::{Framing, MessageError, MessageStream};
use crate::proxy::context::{Context, Sample};
use crate::proxy::error::{Outcome, UpstreamError};
use crate::proxy::exchange::{Broken, Exchange, Upload};
use crate::proxy::local_reply::LocalReply;
use crate::proxy::round_trip::{self, Http1Response, RoundTripError, UpstreamRequest};
use crate::proxy::tunnel;
use crate::proxy::upstream::Priority;

/// A request whose head was validated.
pub(super) struct ParsedRequest {
    pub(super) route: Route,
    pub(super) facts: RequestMeta,
}

/// What decides how a request is forwarded and answered.
pub(super) struct RequestMeta {
    pub(super) framing: Framing,
    pub(super) is_head: bool,
    pub(super) minor: u8,
    pub(super) keep_alive: bool,
    pub(super) websocket: bool,
    /// May be sent twice (RFC 9110 §9.2.2).
    pub(super) idempotent: bool,
}

pub(super) enum Route {
    Http1(Bytes),
    Http2(Box<Request<()>>),
}

/// How a request left the connection.
pub(super) enum Next {
    Keep,
    /// Closed after a response.
    Close(Outcome),
    /// Closed in the middle of a response; what came before the break is the client's.
    Break(Outcome),
    /// The client is not there any more.
    Gone(Outcome),
}

/// Serves a request whose head was validated.
pub(super) async fn forward<S: Duplex>(
    client: &mut H1<S>,
    context: &Context,
    asked: ParsedRequest,
) -> Next {
    let ParsedRequest { route, facts } = asked;
    let mut sample = context.sample(if facts.websocket {
        RequestProtocol::Websocket
    } else {
        RequestProtocol::Http1
    });
    match route {
        Route::Http1(head) => over_http1(client, context, &facts, &head, &mut sample).await,
        Route::Http2(request) => over_http2(client, context, &facts, *request, &mut sample).await,
    }
}

/// The end of a request that the upstream did not answer.
async fn unanswered<S: Duplex>(
    client: &mut H1<S>,
    context: &Context,
    asked: &RequestMeta,
    why: RoundTripError,
    sample: &mut Sample<'_>,
) -> Next {
    let error = match why {
        RoundTripError::Client => return Next::Gone(Outcome::ClientGone),
        RoundTripError::BadBody => {
            let reply = LocalReply::BadBody;
            sample.answered_with(reply.status());
            client.queue(reply.to_http1(true, !asked.is_head));
            return Next::Close(Outcome::ProtocolError);
        }
        RoundTripError::Upstream(error) => error,
    };
    context.upstream_failed(&error);
    let reply = LocalReply::from(&error);
    sample.answered_with(reply.status());
    // A body that is still coming would be read as the next request.
    let close = !client.body_done() || !asked.keep_alive || asked.minor == 0;
    client.queue(reply.to_http1(close, !asked.is_head));
    if close {
        return Next::Close(Outcome::Closed);
    }
    match poll_fn(|cx| client.poll_flush(cx)).await {
        Ok(()) => Next::Keep,
        Err(_) => Next::Gone(Outcome::ClientGone),
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
    let head = match rewrite(up.head(length), client, asked, context) {
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
    let mut exchange = Exchange::resumed(client, &mut *up, context.settings.idle_timeout, upload);
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
    let status = answered.response.status().as_u16();
    sample.answered_with(status);
    let incoming = match stated_length(&answered.response) {
        _ if asked.is_head || matches!(status, 204 | 304) => Framing::None,
        Some(length) => Framing::Length(length),
        None if answered.stream.at_end() => Framing::Length(0),
        None => Framing::Chunked,
    };
    let (framing, after) = outgoing(client, asked, incoming, context);
    let mut out = BytesMut::new();
    write_from_http2(&answered.response, &mut out, framing, after);
    client.start_message(out.freeze(), framing);
    let idle = context.settings.idle_timeout;
    let mut exchange = Exchange::resumed(client, &mut answered.stream, idle, answered.upload);
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
    /// The upstream keeps its connection.
    kept: bool,
    after: Persistence,
}

fn rewrite<S: Duplex>(
    head: &[u8],
    client: &H1<S>,
    asked: &RequestMeta,
    context: &Context,
) -> Result<Rewritten, HeadError> {
    let mut fields_buf = no_fields();
    let head = ResponseHead::parse(head, &mut fields_buf, asked.is_head)?;
    let (outgoing, after) = outgoing(client, asked, head.framing, context);
    let mut bytes = BytesMut::new();
    if head.status == 101 {
        head.write_upgrade_to(&mut bytes);
    } else {
        head.write_to(&mut bytes, outgoing, after);
    }
    Ok(Rewritten {
        status: head.status,
        bytes: bytes.freeze(),
        incoming: head.framing,
        outgoing,
        kept: head.keep_alive,
        after,
    })
}

/// The framing for the client, and how the connection goes on.
///
/// A client whose request is not all here may never send the rest once it is answered: that
/// connection cannot carry another request, and says so.
fn outgoing<S: Duplex>(
    client: &H1<S>,
    asked: &RequestMeta,
    incoming: Framing,
    context: &Context,
) -> (Framing, Persistence) {
    let framing = match incoming {
        Framing::Chunked | Framing::UntilClose if asked.minor == 1 => Framing::Chunked,
        Framing::Chunked | Framing::UntilClose => Framing::UntilClose,
        known => known,
    };
    let keep = asked.keep_alive
        && client.body_done()
        && framing != Framing::UntilClose
        && !context.drain.is_draining();
    let after = match (keep, asked.minor) {
        (true, 1) => Persistence::Default,
        (true, _) => Persistence::Explicit,
        (false, _) => Persistence::Close,
    };
    (framing, after)
}

fn conclude<S: Duplex>(
    client: &H1<S>,
    context: &Context,
    result: Result<(), Broken>,
    after: Persistence,
    sample: &mut Sample<'_>,
) -> Next {
    match result {
        Ok(()) if after == Persistence::Close && context.drain.is_draining() => {
            Next::Close(Outcome::Drained)
        }
        Ok(()) if after == Persistence::Close || !client.body_done() => {
            Next::Close(Outcome::Closed)
        }
        Ok(()) => Next::Keep,
        Err(broken) => {
            sample.broken();
            match broken {
                Broken::Client(MessageError::Framing(_)) => Next::Break(Outcome::ProtocolError),
                Broken::Client(_) => Next::Gone(Outcome::ClientGone),
                Broken::Idle => Next::Break(Outcome::IdleTimeout),
                Broken::Upstream(_) => {
                    context.answer_broken();
                    Next::Break(Outcome::UpstreamBroken)
                }
            }
        }
    }
}
