//! An HTTP/1.1 client: request after request, each passed on and answered (RFC 9112 §9.3).

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Request;
use tokio::time::error::Elapsed;

use super::answer::Answer;
use super::ask::{self, Answered, Ask, Unanswered};
use super::context::{Context, Sample};
use super::error::{Outcome, UpstreamError};
use super::exchange::{Broken, Exchange, Upload};
use super::h1::body::Framing;
use super::h1::connection::{H1, ReadError};
use super::h1::request::{HeadError, RequestHead, no_fields};
use super::h1::response::{After, ResponseHead, stated_length, write_from_http2};
use super::pause::Pause;
use super::peer::Peer;
use super::{UpstreamHttp, upgrade};
use crate::io::Duplex;
use crate::metrics::RequestProtocol;

/// How long a client is listened to after an answer that it did not wait for.
const LINGER: Duration = Duration::from_secs(2);

/// A request whose head was judged.
struct Asked {
    route: Route,
    facts: Facts,
}

/// What decides how a request is passed on and answered.
struct Facts {
    framing: Framing,
    to_head: bool,
    minor: u8,
    keep_alive: bool,
    websocket: bool,
    /// May be sent twice (RFC 9110 §9.2.2).
    idempotent: bool,
}

enum Route {
    Http1(Bytes),
    Http2(Box<Request<()>>),
}

/// How a request left the connection.
enum Next {
    Keep,
    /// Closed after the answer, which the client may not have waited for.
    Linger(Outcome),
    /// Broken off.
    Break(Outcome),
    /// Ended in order.
    Done(Outcome),
}

/// Serves a connection to its end.
pub(crate) async fn serve<S: Duplex>(stream: S, context: &Context) -> Outcome {
    let client = &mut H1::new(stream);
    let mut pause = Pause::new(context);
    loop {
        if let Err(outcome) = pause.next_request(client).await {
            if outcome != Outcome::ClientGone {
                let _ = poll_fn(|cx| client.poll_close(cx)).await;
            }
            return outcome;
        }
        match serve_request(client, context).await {
            Next::Keep => {}
            Next::Linger(outcome) => {
                linger(client).await;
                return outcome;
            }
            Next::Break(outcome) => return outcome,
            Next::Done(outcome) => {
                let _ = poll_fn(|cx| client.poll_close(cx)).await;
                return outcome;
            }
        }
    }
}

async fn serve_request<S: Duplex>(client: &mut H1<S>, context: &Context) -> Next {
    let length = match read_head(client, context).await {
        Ok(Ok(length)) => length,
        Ok(Err(ReadError::Head(error))) => return refuse(client, context, error),
        Ok(Err(ReadError::Closed)) => return Next::Done(Outcome::Closed),
        Ok(Err(ReadError::Broken)) => return Next::Break(Outcome::ClientGone),
        Err(_) => {
            let answer = Answer {
                status: 408,
                reason: "head_timeout",
            };
            return answer_and_close(client, context, answer, Outcome::Timeout);
        }
    };
    match judge(client.head(length), context) {
        Ok(asked) => {
            client.start_body(length, asked.facts.framing);
            pass_on(client, context, asked).await
        }
        Err(error) => refuse(client, context, error),
    }
}

/// Reads a head under its deadline. One that is there already needs no timer.
async fn read_head<S: Duplex>(
    client: &mut H1<S>,
    context: &Context,
) -> Result<Result<usize, ReadError>, Elapsed> {
    let limit = context.settings.max_head_bytes;
    let at_once = poll_fn(|cx| Poll::Ready(client.poll_head(cx, limit))).await;
    if let Poll::Ready(read) = at_once {
        return Ok(read);
    }
    let reading = poll_fn(|cx| client.poll_head(cx, limit));
    tokio::time::timeout(context.settings.head_timeout, reading).await
}

fn judge(head: &[u8], context: &Context) -> Result<Asked, HeadError> {
    let mut room = no_fields();
    let head = RequestHead::parse(head, &mut room, context.settings.max_headers)?;
    let over_http2 = !head.websocket
        && match context.settings.upstream_http {
            UpstreamHttp::Auto => head.grpc,
            UpstreamHttp::Http1 => false,
            UpstreamHttp::Http2 => true,
        };
    let default_host = &context.upstream.default_host;
    let route = if over_http2 {
        Route::Http2(Box::new(head.to_http2(&context.identity, default_host)?))
    } else {
        let mut out = BytesMut::new();
        head.write_to(&mut out, &context.identity, default_host);
        Route::Http1(out.freeze())
    };
    Ok(Asked {
        route,
        facts: Facts {
            framing: head.framing,
            to_head: head.method == "HEAD",
            minor: head.minor,
            keep_alive: head.keep_alive,
            websocket: head.websocket,
            idempotent: is_idempotent(head.method),
        },
    })
}

/// RFC 9110 §9.2.2.
pub(super) fn is_idempotent(method: &str) -> bool {
    matches!(
        method,
        "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE"
    )
}

fn refuse<S: Duplex>(client: &mut H1<S>, context: &Context, error: HeadError) -> Next {
    let answer = Answer {
        status: error.status(),
        reason: "bad_request",
    };
    tracing::info!(reason = %error, status = answer.status, "request refused");
    answer_and_close(client, context, answer, Outcome::ProtocolError)
}

fn answer_and_close<S: Duplex>(
    client: &mut H1<S>,
    context: &Context,
    answer: Answer,
    outcome: Outcome,
) -> Next {
    let mut sample = context.sample(RequestProtocol::Http1);
    sample.answered_with(answer.status);
    client.queue(answer.to_http1(true, true));
    Next::Linger(outcome)
}

async fn linger<S: Duplex>(client: &mut H1<S>) {
    let closing = async {
        if poll_fn(|cx| client.poll_close(cx)).await.is_ok() {
            poll_fn(|cx| client.poll_discard(cx)).await;
        }
    };
    let _ = tokio::time::timeout(LINGER, closing).await;
}

async fn pass_on<S: Duplex>(client: &mut H1<S>, context: &Context, asked: Asked) -> Next {
    let Asked { route, facts } = asked;
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

/// The end of a request that the inference server did not answer.
async fn unanswered<S: Duplex>(
    client: &mut H1<S>,
    context: &Context,
    asked: &Facts,
    why: Unanswered,
    sample: &mut Sample<'_>,
) -> Next {
    let error = match why {
        Unanswered::Client => return Next::Break(Outcome::ClientGone),
        Unanswered::BadBody => {
            let answer = Answer {
                status: 400,
                reason: "bad_request_body",
            };
            sample.answered_with(answer.status);
            client.queue(answer.to_http1(true, true));
            return Next::Linger(Outcome::ProtocolError);
        }
        Unanswered::Upstream(error) => error,
    };
    context.upstream_failed(&error);
    let answer = Answer {
        status: error.status(),
        reason: error.reason(),
    };
    sample.answered_with(answer.status);
    // A body that is still coming would be read as the next request.
    let close = !client.body_done() || !asked.keep_alive || asked.minor == 0;
    client.queue(answer.to_http1(close, !asked.to_head));
    if close {
        return Next::Linger(Outcome::Closed);
    }
    match poll_fn(|cx| client.poll_flush(cx)).await {
        Ok(()) => Next::Keep,
        Err(_) => Next::Break(Outcome::ClientGone),
    }
}

async fn over_http1<S: Duplex>(
    client: &mut H1<S>,
    context: &Context,
    asked: &Facts,
    head: &Bytes,
    sample: &mut Sample<'_>,
) -> Next {
    let ask = Ask {
        head,
        framing: asked.framing,
        to_head: asked.to_head,
        idempotent: asked.idempotent,
        upgrade: asked.websocket,
    };
    let interim = |client: &mut H1<S>, head: &ResponseHead<'_>| {
        if asked.minor == 1 {
            let mut out = BytesMut::new();
            head.write_to(&mut out, Framing::None, After::Keep);
            client.queue(out.freeze());
        }
    };
    match ask::over_http1(client, context, &ask, interim).await {
        Ok(answered) => respond(client, context, asked, answered, sample).await,
        Err(why) => unanswered(client, context, asked, why, sample).await,
    }
}

/// Passes a response on whose head stands in the connection's buffer.
async fn respond<S: Duplex>(
    client: &mut H1<S>,
    context: &Context,
    asked: &Facts,
    answered: Answered,
    sample: &mut Sample<'_>,
) -> Next {
    let Answered {
        connection: mut up,
        length,
        upload,
    } = answered;
    let head = match rewrite(up.head(length), asked, context) {
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
        let outcome = upgrade::tunnel(client, &mut up, context, sample).await;
        return Next::Break(outcome);
    }
    let (kept, after) = (head.kept, head.after);
    let mut exchange = Exchange::resumed(client, &mut up, context.settings.idle_timeout, upload);
    let result = exchange.run().await;
    let upload = exchange.upload();
    if result.is_ok() && kept && upload == Upload::Done && up.is_drained() {
        context.upstream.keep(up);
    }
    conclude(context, result, upload, after, sample)
}

/// Passes a request on to an HTTP/2 inference server.
async fn over_http2<S: Duplex>(
    client: &mut H1<S>,
    context: &Context,
    asked: &Facts,
    request: Request<()>,
    sample: &mut Sample<'_>,
) -> Next {
    let without_body = matches!(asked.framing, Framing::None | Framing::Length(0));
    let interim = |client: &mut H1<S>, response: http::Response<()>| {
        if asked.minor == 1 {
            let mut out = BytesMut::new();
            write_from_http2(&response, &mut out, Framing::None, After::Keep);
            client.queue(out.freeze());
        }
    };
    let asking = ask::over_http2(client, context, request, without_body, interim);
    let mut answered = match asking.await {
        Ok(answered) => answered,
        Err(why) => return unanswered(client, context, asked, why, sample).await,
    };
    let status = answered.response.status().as_u16();
    sample.answered_with(status);
    let incoming = match stated_length(&answered.response) {
        _ if asked.to_head || matches!(status, 204 | 304) => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    };
    let (framing, after) = outgoing(asked, incoming, context);
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
    conclude(context, result, upload, after, sample)
}

/// A response head as the client gets it.
struct Rewritten {
    status: u16,
    bytes: Bytes,
    incoming: Framing,
    outgoing: Framing,
    /// The inference server keeps its connection.
    kept: bool,
    after: After,
}

fn rewrite(head: &[u8], asked: &Facts, context: &Context) -> Result<Rewritten, HeadError> {
    let mut room = no_fields();
    let head = ResponseHead::parse(head, &mut room, asked.to_head)?;
    let (outgoing, after) = outgoing(asked, head.framing, context);
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
fn outgoing(asked: &Facts, incoming: Framing, context: &Context) -> (Framing, After) {
    let framing = match incoming {
        Framing::Chunked | Framing::UntilClose if asked.minor == 1 => Framing::Chunked,
        Framing::Chunked | Framing::UntilClose => Framing::UntilClose,
        known => known,
    };
    let keep = asked.keep_alive && framing != Framing::UntilClose && !context.drain.is_draining();
    let after = match (keep, asked.minor) {
        (true, 1) => After::Keep,
        (true, _) => After::KeepAndSay,
        (false, _) => After::Close,
    };
    (framing, after)
}

fn conclude(
    context: &Context,
    result: Result<(), Broken>,
    upload: Upload,
    after: After,
    sample: &mut Sample<'_>,
) -> Next {
    match result {
        Ok(()) if upload != Upload::Done => Next::Linger(Outcome::Closed),
        Ok(()) if after == After::Close && context.drain.is_draining() => {
            Next::Done(Outcome::Drained)
        }
        Ok(()) if after == After::Close => Next::Done(Outcome::Closed),
        Ok(()) => Next::Keep,
        Err(broken) => {
            sample.broken();
            Next::Break(match broken {
                Broken::Client(_) => Outcome::ClientGone,
                Broken::Idle => Outcome::IdleTimeout,
                Broken::Upstream(_) => {
                    context.answer_broken();
                    Outcome::UpstreamBroken
                }
            })
        }
    }
}
