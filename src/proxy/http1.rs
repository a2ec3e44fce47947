//! An HTTP/1.1 client: request after request, each passed on and answered (RFC 9112 §9.3).

mod reply;

use std::future::poll_fn;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http::Request;
use tokio::time::Instant;

use self::reply::pass_on;
use super::UpstreamHttp;
use super::answer::Answer;
use super::context::Context;
use super::end::{Sent, end};
use super::error::Outcome;
use super::h1::body::Framing;
use super::h1::connection::{H1, ReadError};
use super::h1::request::{HeadError, RequestHead, USUAL_FIELDS, no_fields, no_fields_of};
use super::pause::Pause;
use crate::io::{ClientStream, Duplex};
use crate::metrics::RequestProtocol;

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
    /// Closed after a response.
    Close(Outcome),
    /// Closed in the middle of a response; what came before the break is the client's.
    Break(Outcome),
    /// The client is not there any more.
    Gone(Outcome),
}

/// Serves a connection to its end. No `async fn`: that would hold its arguments twice.
pub(crate) fn serve<S: ClientStream>(
    stream: S,
    context: Context,
) -> impl Future<Output = Outcome> + Send {
    let mut client = H1::new(stream);
    async move {
        let (next, since) = requests(&mut client, &context).await;
        let (sent, outcome) = match next {
            Next::Keep | Next::Gone(Outcome::Closed) => return Outcome::Closed,
            Next::Gone(outcome) => return outcome,
            Next::Close(outcome) => (Sent::Whole, outcome),
            Next::Break(outcome) => (Sent::Broken, outcome),
        };
        end(&mut client, sent, outcome, since, &context.drain).await
    }
}

/// Serves requests until one is the last, or none comes: how, and since when nothing was sent.
async fn requests<S: ClientStream>(client: &mut H1<S>, context: &Context) -> (Next, Instant) {
    let mut pause = Pause::new(context);
    loop {
        if let Err(outcome) = pause.next_request(client, &context.activity).await {
            return (Next::Close(outcome), pause.since());
        }
        context.turns.next().await;
        match serve_request(client, context).await {
            Next::Keep => {}
            last => return (last, Instant::now()),
        }
    }
}

async fn serve_request<S: Duplex>(client: &mut H1<S>, context: &Context) -> Next {
    let length = match read_head(client, context).await {
        Ok(length) => length,
        Err(NoHead::Read(ReadError::Head(error))) => return refuse(client, context, error),
        Err(NoHead::Read(ReadError::Closed)) => return Next::Close(Outcome::Closed),
        Err(NoHead::Read(ReadError::Broken)) => return Next::Gone(Outcome::ClientGone),
        Err(NoHead::Shed) => return Next::Close(Outcome::Shed),
        Err(NoHead::Timeout) => {
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

/// Why there is no request head.
enum NoHead {
    Read(ReadError),
    Timeout,
    Shed,
}

/// Reads a head under its deadline. One that is there already needs no timer. One that comes in pieces
/// is no work under way yet: the connection may have to make room.
async fn read_head<S: Duplex>(client: &mut H1<S>, context: &Context) -> Result<usize, NoHead> {
    let limit = context.settings.max_head_bytes;
    let at_once = poll_fn(|cx| Poll::Ready(client.poll_head(cx, limit))).await;
    if let Poll::Ready(read) = at_once {
        return read.map_err(NoHead::Read);
    }
    context.activity.idle(Instant::now().into_std());
    let reading = poll_fn(|cx| client.poll_head(cx, limit));
    let reading = tokio::time::timeout(context.settings.head_timeout, reading);
    let read = tokio::select! {
        biased;
        read = reading => read.map_err(|_| NoHead::Timeout)?.map_err(NoHead::Read),
        () = context.activity.shed() => return Err(NoHead::Shed),
    };
    if context.activity.begin() {
        read
    } else {
        Err(NoHead::Shed)
    }
}

fn judge(head: &[u8], context: &Context) -> Result<Asked, HeadError> {
    let max = context.settings.max_headers;
    match RequestHead::parse(head, &mut no_fields(), max) {
        Err(HeadError::TooManyFields) if max > USUAL_FIELDS => prepare(
            &RequestHead::parse(head, &mut no_fields_of(max), max)?,
            context,
        ),
        parsed => prepare(&parsed?, context),
    }
}

fn prepare(head: &RequestHead<'_>, context: &Context) -> Result<Asked, HeadError> {
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
    tracing::info!(listener = %context.listener(), reason = %error, status = answer.status, "request refused");
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
    Next::Close(outcome)
}
