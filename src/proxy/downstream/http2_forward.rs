//! One HTTP/2 stream: a request forwarded to either kind of upstream, and its response.

use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Method, Request};

mod head;
mod prepare;
mod respond;
mod signed;

use self::head::{Prepared, framing_of, line, to_request, write_head};
use crate::metrics::{Code, RequestProtocol};
use crate::panics;
use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::codec::h2::held_heads::HeldHead;
use crate::proxy::codec::h2::stream::ServedStream;
use crate::proxy::codec::h2::unsent::{RefusedStream, StreamPermit, Unsent};
use crate::proxy::codec::media_type::is_grpc;
use crate::proxy::codec::message::{Framing, MessageStream, is_idempotent};
use crate::proxy::context::{Context, Sample};
use crate::proxy::failure_log::{NO_REQUEST, NO_STREAM};
use crate::proxy::local_reply::LocalReply;
use crate::proxy::request_log::RequestLog;
use crate::proxy::round_trip::{self, InterimHead, RoundTripError, UpstreamRequest};
use crate::proxy::tunnel;
use crate::proxy::upstream::Priority;
use crate::signature::Receipt;
use crate::worker;

/// A stream's part of what is shared, until its end.
pub(super) struct Share {
    /// None if the process has as many streams as it may have; then its place among those that are refused.
    pub(super) permit: Result<StreamPermit, RefusedStream>,
    /// Bytes that its head came as, if they are many.
    pub(super) head: usize,
    pub(super) unsent: Arc<Unsent>,
    pub(super) load: worker::Share,
    pub(super) priority: Priority,
}

/// Serves a stream to its end.
pub(super) async fn serve(
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    context: Arc<Context>,
    share: Share,
) {
    let Share {
        permit,
        head,
        unsent,
        load: _load,
        priority,
    } = share;
    let (mut parts, body) = request.into_parts();
    let grpc = parts
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| is_grpc(value.as_bytes()));
    let websocket = is_websocket(&parts);
    let mut sample = context.sample(match (websocket, grpc) {
        (true, _) => RequestProtocol::Websocket,
        (false, true) => RequestProtocol::Grpc,
        (false, false) => RequestProtocol::Http2,
    });
    if let Some(observers) = &context.observers {
        let begun = |log: &RequestLog| line(log, &parts);
        let method = parts.method.as_str();
        sample.observed = Some(observers.begin_http2(method, &parts.headers, begun));
    }
    let ended = body.is_end_stream();
    let mut stream = Served {
        client: ServedStream::new(body, ended, respond, unsent).talking(grpc),
        context: &context,
        grpc,
        priority,
        is_head: parts.method == Method::HEAD,
        receipt: None,
    };
    if permit.is_err() {
        stream.reply_overloaded(NO_STREAM, &mut sample);
        drop((sample, parts));
        return stream.end().await;
    }
    let Prepared { host, size } = match stream.prepare(&mut parts, websocket) {
        Ok(prepared) => prepared,
        Err(error) => {
            let reply = LocalReply::BadHead(error);
            context.head_refused(&error, reply.status());
            stream.reply(reply, &mut sample);
            drop((sample, parts));
            return stream.end().await;
        }
    };
    let Some(held) = stream.memory_for_head(size.max(head)).await else {
        stream.reply_overloaded(NO_REQUEST, &mut sample);
        drop((sample, parts));
        return stream.end().await;
    };
    let host = host.as_deref();
    if let Some(observed) = &sample.observed {
        // Before the signatures: the app does not get them, so they cannot be covered.
        observed.remove_from(&mut parts.headers);
    }
    if let Some(signer) = &context.responses
        && !websocket
    {
        stream.remember(signer, &parts, host, ended);
    }
    if let Some(verifier) = &context.signature
        && let Err(refusal) = stream.admit(verifier, &mut parts, host, ended, websocket)
    {
        let accept = HeaderValue::from_str(verifier.accept()).ok();
        stream.reply_with(LocalReply::Signature(refusal), accept, &mut sample);
        drop((sample, parts));
        return stream.end().await;
    }
    if let Some(observed) = &sample.observed {
        observed.insert_into(&mut parts.headers);
    }
    let head = ReceivedHead { parts, size, held };
    stream
        .forward(head, host, ended, websocket, &mut sample)
        .await;
    drop(sample);
    stream.end().await;
}

/// An extended CONNECT for WebSocket (RFC 8441 §4).
fn is_websocket(parts: &Parts) -> bool {
    parts.method == Method::CONNECT
        && parts
            .extensions
            .get::<h2::ext::Protocol>()
            .is_some_and(|protocol| protocol.as_str() == "websocket")
}

/// A head that was checked.
struct ReceivedHead {
    parts: Parts,
    /// Bytes of it.
    size: usize,
    /// What a large one takes of the process's memory.
    held: Option<HeldHead>,
}

struct Served<'a> {
    client: ServedStream,
    context: &'a Context,
    grpc: bool,
    priority: Priority,
    is_head: bool,
    /// To be signed with the response.
    receipt: Option<Box<Receipt>>,
}

/// A panic ends the stream, and says whose fault it was.
impl Drop for Served<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = panics::caught_call(|| self.client.reset(Reason::INTERNAL_ERROR));
        }
    }
}

impl Served<'_> {
    /// After the response: what is left of the request.
    async fn end(&mut self) {
        self.client.room_in_socket().await;
        if !self.client.at_end() {
            // Boxed: hardly any stream comes here, and each would be as large.
            let _ = Box::pin(self.client.discard()).await;
        }
    }

    /// Sends a request whose head was validated, and its response back.
    async fn forward(
        &mut self,
        head: ReceivedHead,
        host: Option<&[u8]>,
        ended: bool,
        websocket: bool,
        sample: &mut Sample<'_>,
    ) {
        let ReceivedHead { parts, size, held } = head;
        let interim = |client: &mut ServedStream, head: InterimHead<'_>| {
            if let Ok(response) = head.into_http2() {
                // An interim response that cannot be forwarded is no loss of the final one.
                let _ = client.send_interim(response);
            }
        };
        let (context, settings) = (self.context, &self.context.settings);
        if !websocket && settings.upstream_http.is_http2(self.grpc) {
            let Some(request) = to_request(parts, host, context) else {
                let error = HeadError::Malformed;
                self.context.head_refused(&error, error.status());
                return self.reply(LocalReply::BadHead(error), sample);
            };
            let sending =
                round_trip::send_http2(&mut self.client, context, request, ended, interim);
            let response = sending.await;
            drop(held);
            return self.respond(response, None, sample).await;
        }
        let key = websocket.then(tunnel::new_key);
        let key = key.as_deref();
        let framing = if websocket {
            Framing::None
        } else {
            framing_of(&parts, ended)
        };
        let head = write_head(&parts, size, host, framing, key, context);
        let upstream_request = UpstreamRequest {
            head: match held {
                // Its memory is given back when nobody holds it any more.
                Some(held) => held.of(head),
                None => head,
            },
            framing,
            is_head: self.is_head,
            idempotent: is_idempotent(parts.method.as_str()) && !websocket,
            upgrade: websocket,
            priority: self.priority,
        };
        // What a client sent is not held twice.
        drop(parts);
        let response =
            round_trip::send_http1(&mut self.client, context, upstream_request, interim).await;
        self.respond(response, key, sample).await;
    }

    fn reply_to_error(&mut self, why: RoundTripError, sample: &mut Sample<'_>) {
        if let Some(reply) = why.into_reply(self.context) {
            self.reply(reply, sample);
        }
    }

    fn reply_overloaded(&mut self, why: &str, sample: &mut Sample<'_>) {
        let reply = LocalReply::Overloaded;
        self.context.overloaded(why, reply.status());
        self.reply(reply, sample);
    }

    /// Responds for the upstream. A failure to send means that nobody waits for it.
    fn reply(&mut self, reply: LocalReply, sample: &mut Sample<'_>) {
        self.reply_with(reply, None, sample);
    }

    /// The same, saying which signatures are asked for.
    fn reply_with(
        &mut self,
        reply: LocalReply,
        accept: Option<HeaderValue>,
        sample: &mut Sample<'_>,
    ) {
        sample.responded_with(reply.status());
        let (mut response, body) = if self.grpc {
            sample.status = Code::Grpc(reply.grpc_status());
            (reply.to_grpc(), Bytes::new())
        } else {
            reply.to_http2()
        };
        sample.complete();
        if let Some(accept) = accept {
            response.headers_mut().insert("accept-signature", accept);
        }
        let body = if self.is_head { Bytes::new() } else { body };
        let _ = self.client.answer(response, body);
    }
}
