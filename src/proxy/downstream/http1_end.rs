//! How a request of an HTTP/1.1 client ends, and how its connection goes on.

use std::future::poll_fn;

use crate::io::Duplex;
use crate::metrics::RequestProtocol;
use crate::proxy::codec::h1::connection::H1;
use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::codec::h1::response::Persistence;
use crate::proxy::codec::message::{Framing, FramingError, MessageError, MessageStream};
use crate::proxy::context::{Context, Sample};
use crate::proxy::error::Outcome;
use crate::proxy::exchange::Broken;
use crate::proxy::failure_log::BAD_BODY;
use crate::proxy::local_reply::LocalReply;
use crate::proxy::round_trip::RoundTripError;
use crate::proxy::signed::bad_digest;
use crate::signature::Receipt;

/// What decides how a request is forwarded and answered.
pub(super) struct RequestMeta {
    pub(super) framing: Framing,
    pub(super) is_head: bool,
    pub(super) minor: u8,
    /// The client takes trailers (`te: trailers`).
    pub(super) trailers: bool,
    pub(super) keep_alive: bool,
    pub(super) websocket: bool,
    /// May be sent twice (RFC 9110 §9.2.2).
    pub(super) idempotent: bool,
    /// To be signed with the response.
    pub(super) receipt: Option<Box<Receipt>>,
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

/// The end of a request that the upstream did not answer.
pub(super) async fn reply_to_error<S: Duplex>(
    client: &mut H1<S>,
    context: &Context,
    meta: &RequestMeta,
    why: RoundTripError,
    sample: &mut Sample<'_>,
) -> Next {
    let Some(reply) = why.into_reply(context) else {
        return Next::Gone(Outcome::ClientGone);
    };
    sample.replied_with(reply.status());
    let outcome = match reply {
        LocalReply::BadBody => Outcome::ProtocolError,
        LocalReply::Shed => Outcome::Shed,
        LocalReply::ClientTimeout => Outcome::Timeout,
        _ => Outcome::Closed,
    };
    // A body that is still coming, or is not what it should be, would be read as the next request.
    let close = matches!(reply, LocalReply::BadBody | LocalReply::Signature(_))
        || !client.body_done()
        || !meta.keep_alive
        || meta.minor == 0;
    client.queue(reply.to_http1(close, !meta.is_head));
    if close {
        return Next::Close(outcome);
    }
    match poll_fn(|cx| client.poll_flush(cx)).await {
        Ok(()) => Next::Keep,
        Err(_) => Next::Gone(Outcome::ClientGone),
    }
}

/// Responds to what is not forwarded, with or without the text of it: to a HEAD there is none.
pub(super) fn reply_and_close<S: Duplex>(
    client: &mut H1<S>,
    context: &Context,
    (reply, text): (LocalReply, bool),
    outcome: Outcome,
) -> Next {
    let mut sample = context.sample(RequestProtocol::Http1);
    sample.replied_with(reply.status());
    client.queue(reply.to_http1(true, text));
    Next::Close(outcome)
}

/// Refuses a request by its head.
pub(super) fn refuse<S: Duplex>(client: &mut H1<S>, context: &Context, error: HeadError) -> Next {
    let reply = LocalReply::BadHead(error);
    context.head_refused(&error, reply.status());
    reply_and_close(client, context, (reply, true), Outcome::ProtocolError)
}

/// Refuses a request whose head was not complete in time.
pub(super) fn unfinished<S: Duplex>(client: &mut H1<S>, context: &Context) -> Next {
    let reply = LocalReply::HeadTimeout;
    let reason = "the head was not complete in time";
    context.head_refused(&reason, reply.status());
    reply_and_close(client, context, (reply, true), Outcome::Timeout)
}

/// The framing for the client, and how the connection goes on.
///
/// A client whose request is not all here may never send the rest once it is answered: that
/// connection cannot carry another request, and says so.
pub(super) fn outgoing<S: Duplex>(
    client: &H1<S>,
    meta: &RequestMeta,
    incoming: Framing,
    context: &Context,
) -> (Framing, Persistence) {
    let framing = match incoming {
        Framing::Chunked | Framing::UntilClose if meta.minor == 1 => Framing::Chunked,
        Framing::Chunked | Framing::UntilClose => Framing::UntilClose,
        known => known,
    };
    let keep = meta.keep_alive
        && client.body_done()
        && framing != Framing::UntilClose
        && !context.drain.is_draining();
    let after = match (keep, meta.minor) {
        (true, 1) => Persistence::Default,
        (true, _) => Persistence::Explicit,
        (false, _) => Persistence::Close,
    };
    (framing, after)
}

pub(super) fn conclude<S: Duplex>(
    client: &H1<S>,
    context: &Context,
    result: Result<(), Broken>,
    after: Persistence,
    sample: &mut Sample<'_>,
) -> Next {
    if result.is_ok() {
        sample.complete();
    }
    match result {
        Ok(()) if after == Persistence::Close && context.drain.is_draining() => {
            Next::Close(Outcome::Drained)
        }
        Ok(()) if after == Persistence::Close || !client.body_done() => {
            Next::Close(Outcome::Closed)
        }
        Ok(()) => Next::Keep,
        Err(broken) => match broken {
            Broken::Client(MessageError::Framing(FramingError::Digest)) => {
                bad_digest(context);
                Next::Break(Outcome::ProtocolError)
            }
            Broken::Client(MessageError::Framing(_)) => {
                context.broken_off(BAD_BODY);
                Next::Break(Outcome::ProtocolError)
            }
            Broken::Client(_) => Next::Gone(broken.outcome()),
            Broken::Upstream(ref error) => {
                context.answer_broken(error);
                Next::Break(broken.outcome())
            }
            Broken::Untaken | Broken::Idle | Broken::Shed | Broken::Timeout => {
                Next::Break(broken.outcome())
            }
        },
    }
}
