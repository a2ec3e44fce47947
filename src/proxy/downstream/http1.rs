//! An HTTP/1.1 client: request after request, each forwarded and answered (RFC 9112 §9.3).

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::BytesMut;
use tokio::time::Instant;

use crate::io::{ClientStream, Duplex};
use crate::metrics::RequestProtocol;
use crate::proxy::arrival::begun_too_late;
use crate::proxy::codec::h1::connection::{H1, ReadError};
use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::codec::h1::request::{
    RequestHead, USUAL_FIELDS, absolute_authority, no_fields, no_fields_of,
};
use crate::proxy::codec::message::is_idempotent;
use crate::proxy::context::{Context, Targets, Unnamed};
use crate::proxy::downstream::http1_end::{Next, RequestMeta, refuse, reply_and_close, unfinished};
use crate::proxy::downstream::http1_forward::{ParsedRequest, Route, forward};
use crate::proxy::downstream::http1_idle::KeepAliveWait;
use crate::proxy::end::{Sent, end};
use crate::proxy::error::Outcome;
use crate::proxy::local_reply::LocalReply;
use crate::proxy::observers::Observed;
use crate::proxy::signed::{ENDS_HERE, verify};
use crate::proxy::upstream::Upstream;
use crate::signature::Refusal;

/// Fields of a request that are for a forward proxy (RFC 9110 §11.7).
const FOR_A_PROXY: [&str; 2] = ["proxy-authorization", "proxy-connection"];

/// Serves a connection to its end. No `async fn`: that would hold its arguments twice.
pub(crate) fn serve<S: ClientStream>(
    stream: S,
    context: Context,
) -> impl Future<Output = Outcome> + Send {
    let client = H1::new(stream).of_client(&context.activity);
    serve_from(client, context)
}

/// The same for a connection of which something was read already.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn would hold its arguments twice"
)]
pub(crate) fn serve_from<S: ClientStream>(
    mut client: H1<S>,
    context: Context,
) -> impl Future<Output = Outcome> + Send {
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
    let mut pause = KeepAliveWait::new(context);
    loop {
        if let Err(outcome) = pause.next_request(client, &context.activity).await {
            return (Next::Close(outcome), pause.since());
        }
        context.scheduler.next().await;
        match serve_request(client, context).await {
            Next::Keep => {}
            last => return (last, Instant::now()),
        }
    }
}

/// Refuses a client that began something, and did not go on in time.
pub(crate) async fn refuse_unfinished<S: ClientStream>(stream: S, context: Context) -> Outcome {
    let mut client = H1::new(stream).of_client(&context.activity);
    unfinished(&mut client, &context);
    let outcome = Outcome::Timeout;
    end(
        &mut client,
        Sent::Whole,
        outcome,
        Instant::now(),
        &context.drain,
    )
    .await
}

async fn serve_request<S: Duplex>(client: &mut H1<S>, context: &Context) -> Next {
    let length = match read_head(client, context).await {
        Ok(length) => length,
        Err(NoHead::Read(ReadError::Head(error))) => return refuse(client, context, error),
        Err(NoHead::Read(ReadError::Closed)) => return Next::Close(Outcome::Closed),
        Err(NoHead::Read(ReadError::Broken)) => return Next::Gone(Outcome::ClientGone),
        Err(NoHead::Shed) => return Next::Close(Outcome::Shed),
        Err(NoHead::Drained) => return Next::Close(Outcome::Drained),
        Err(NoHead::Timeout) => return unfinished(client, context),
    };
    let elsewhere;
    let context = match &context.targets {
        None => context,
        Some(targets) => match named(client.head(length), &**targets) {
            Ok(upstream) => {
                elsewhere = Box::new(context.elsewhere(upstream));
                &*elsewhere
            }
            Err(Unnamed::Host) => return refuse(client, context, HeadError::Host),
            Err(Unnamed::Connect) => return refuse(client, context, HeadError::LateConnect),
            Err(Unnamed::Refused(error)) => {
                context.upstream_failed(&error);
                let reply = LocalReply::from(&error);
                let is_head = client.head(length).starts_with(b"HEAD ");
                return reply_and_close(client, context, (reply, !is_head), Outcome::ProtocolError);
            }
        },
    };
    match validate(client.head(length), context) {
        Ok(mut parsed) => {
            client.start_body(length, parsed.facts.framing);
            client.wait_anew();
            if let Some(digest) = parsed.digest.take() {
                client.check_body(*digest);
            }
            forward(client, context, parsed).await
        }
        Err(Refused::Head(error)) => refuse(client, context, error),
        Err(Refused::Signature(refused)) => {
            let RefusedSignature {
                refusal,
                is_head,
                accept,
                observed,
            } = *refused;
            let reply = LocalReply::Signature(refusal);
            let mut sample = context.sample(RequestProtocol::Http1);
            sample.observed = observed;
            sample.replied_with(reply.status());
            client.queue(reply.to_http1_with(true, !is_head, &accept));
            Next::Close(Outcome::Closed)
        }
    }
}

/// Where a request of a forward proxy goes: its target has to be in absolute form (RFC 9112 §3.2.2).
fn named(head: &[u8], targets: &dyn Targets) -> Result<Arc<Upstream>, Unnamed> {
    if head.starts_with(b"CONNECT ") {
        return Err(Unnamed::Connect);
    }
    let target = head.split(|byte| *byte == b' ').nth(1);
    let target = target.and_then(|target| std::str::from_utf8(target).ok());
    let authority = target.and_then(absolute_authority);
    targets.upstream(authority.ok_or(Unnamed::Host)?)
}

/// Why a request is answered here.
enum Refused {
    Head(HeadError),
    Signature(Box<RefusedSignature>),
}

struct RefusedSignature {
    refusal: Refusal,
    /// The request is a HEAD.
    is_head: bool,
    /// The line that says which signatures are asked for.
    accept: String,
    observed: Option<Box<Observed>>,
}

impl From<HeadError> for Refused {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

/// Why there is no request head.
enum NoHead {
    Read(ReadError),
    Timeout,
    Shed,
    Drained,
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
        () = begun_too_late(&context.drain) => return Err(NoHead::Drained),
    };
    if context.activity.begin() {
        read
    } else {
        Err(NoHead::Shed)
    }
}

fn validate(head: &[u8], context: &Context) -> Result<ParsedRequest, Refused> {
    let max = context.settings.max_headers;
    match RequestHead::parse(head, &mut no_fields(), max) {
        Err(HeadError::TooManyFields) if max > USUAL_FIELDS => prepare(
            RequestHead::parse(head, &mut no_fields_of(max), max)?,
            context,
        ),
        parsed => prepare(parsed?, context),
    }
}

fn prepare(mut head: RequestHead<'_>, context: &Context) -> Result<ParsedRequest, Refused> {
    let signer = context.responses.as_ref().filter(|_| !head.websocket);
    let receipt = signer.map(|signer| {
        let receipt = signer.receipt(&head.message(&context.identity), context.identity.group());
        Box::new(receipt)
    });
    let observers = context.observers.as_deref();
    let observed = observers.map(|observers| observers.begin(&head));
    if let Some(observed) = &observed {
        // Before the signatures: the app does not get them, so they cannot be covered.
        head.leave_out(observed.replaces());
    }
    let mut verdict = None;
    if let Some(verifier) = &context.signature {
        match verify(context, verifier, &head.message(&context.identity)) {
            Ok(verified) => verdict = Some(verified),
            Err(refusal) => {
                return Err(Refused::Signature(Box::new(RefusedSignature {
                    refusal,
                    is_head: head.method == "HEAD",
                    accept: format!("accept-signature: {}\r\n", verifier.accept()),
                    observed,
                })));
            }
        }
        head.leave_out(&ENDS_HERE);
    } else if context.targets.is_some() {
        head.leave_out(&FOR_A_PROXY);
    }
    let over_http2 = !head.websocket && context.settings.upstream_http.is_http2(head.grpc);
    let default_host = &context.upstream.default_host;
    let route = if over_http2 {
        let mut request =
            head.to_http2(&context.identity, default_host, context.upstream.scheme)?;
        if let Some(verdict) = &verdict {
            verdict.insert_into(request.headers_mut());
        }
        if let Some(observed) = &observed {
            observed.insert_into(request.headers_mut());
        }
        Route::Http2(Box::new(request))
    } else {
        let mut out = BytesMut::new();
        head.write_to(&mut out, &context.identity, default_host);
        if let Some(verdict) = &verdict {
            verdict.put_lines(&mut out);
        }
        if let Some(observed) = &observed {
            observed.put_line(&mut out);
        }
        Route::Http1(out.freeze())
    };
    Ok(ParsedRequest {
        route,
        digest: verdict.and_then(|verdict| verdict.body).map(Box::new),
        facts: RequestMeta {
            framing: head.framing,
            is_head: head.method == "HEAD",
            minor: head.minor,
            trailers: head.trailers && head.minor == 1,
            keep_alive: head.keep_alive,
            websocket: head.websocket,
            idempotent: is_idempotent(head.method),
            receipt,
        },
        observed,
    })
}
