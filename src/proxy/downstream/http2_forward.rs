//! One HTTP/2 stream: a request forwarded to either kind of upstream, and its response.

use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request};

mod head;
mod respond;
mod signed;

use self::head::{Tally, framing_of, host_of, line, to_request, write_head};
use crate::metrics::{Code, RequestProtocol};
use crate::panics;
use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::codec::h1::request::valid_host;
use crate::proxy::codec::h2::stream::ServedStream;
use crate::proxy::codec::h2::unsent::{StreamPermit, Unsent};
use crate::proxy::codec::headers::strip_hop_by_hop;
use crate::proxy::codec::media_type::is_grpc;
use crate::proxy::codec::message::{Framing, MessageStream, is_idempotent};
use crate::proxy::context::{Context, Sample};
use crate::proxy::failure_log::NO_STREAM;
use crate::proxy::local_reply::LocalReply;
use crate::proxy::request_log::RequestLog;
use crate::proxy::round_trip::{self, InterimHead, RoundTripError, UpstreamRequest};
use crate::proxy::tunnel;
use crate::proxy::upstream::Priority;
use crate::signature::Receipt;
use crate::worker;

/// A stream's part of what is shared, until its end.
pub(super) struct Share {
    /// None if the process has as many streams as it may have.
    pub(super) permit: Option<StreamPermit>,
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
        client: ServedStream::new(body, respond, unsent).talking(grpc),
        context: &context,
        grpc,
        priority,
        is_head: parts.method == Method::HEAD,
        receipt: None,
    };
    if permit.is_none() {
        stream.reply_overloaded(NO_STREAM, &mut sample);
        drop(sample);
        return stream.end().await;
    }
    let host = match stream.prepare(&mut parts, websocket) {
        Ok(host) => host,
        Err(error) => {
            let reply = LocalReply::BadHead(error);
            context.head_refused(&error, reply.status());
            stream.reply(reply, &mut sample);
            drop(sample);
            return stream.end().await;
        }
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
        drop(sample);
        return stream.end().await;
    }
    if let Some(observed) = &sample.observed {
        observed.insert_into(&mut parts.headers);
    }
    stream
        .forward(parts, host, ended, websocket, &mut sample)
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

/// `:path` is what RFC 9113 §8.3.1 allows; a WebSocket's is no different.
fn has_target(parts: &Parts) -> bool {
    match parts.uri.path_and_query().map(PathAndQuery::as_str) {
        Some("*") => parts.method == Method::OPTIONS,
        Some(path) => path.starts_with('/'),
        None => false,
    }
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

    /// Checks a request and leaves its end-to-end fields; returns the host it is for.
    fn prepare(&self, parts: &mut Parts, websocket: bool) -> Result<Option<Vec<u8>>, HeadError> {
        if parts.method == Method::CONNECT && !websocket {
            return Err(HeadError::Connect);
        }
        let settings = &self.context.settings;
        let tally = Tally::of(parts, &self.context.identity);
        if tally.fields > settings.max_headers {
            return Err(HeadError::TooManyFields);
        }
        if tally.size > settings.max_head_bytes {
            return Err(HeadError::TooLarge);
        }
        if tally.hosts > 1 {
            return Err(HeadError::Host);
        }
        if tally.content_lengths > 1 {
            return Err(HeadError::ContentLength);
        }
        let host = host_of(parts);
        if host.as_ref().is_some_and(|host| !valid_host(host)) {
            return Err(HeadError::Host);
        }
        if !has_target(parts) {
            return Err(HeadError::Target);
        }
        if tally.hop_by_hop {
            strip_hop_by_hop(&mut parts.headers);
        }
        if tally.hosts > 0 {
            parts.headers.remove(HOST);
        }
        for name in tally.owned {
            parts.headers.remove(name);
        }
        Ok(host)
    }

    /// Sends a request whose head was validated, and its response back.
    async fn forward(
        &mut self,
        parts: Parts,
        host: Option<&[u8]>,
        ended: bool,
        websocket: bool,
        sample: &mut Sample<'_>,
    ) {
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
            return self.respond(response, None, sample).await;
        }
        let key = websocket.then(tunnel::new_key);
        let key = key.as_deref();
        let framing = if websocket {
            Framing::None
        } else {
            framing_of(&parts, ended)
        };
        let head = write_head(&parts, host, framing, key, context);
        let upstream_request = UpstreamRequest {
            head: &head,
            framing,
            is_head: self.is_head,
            idempotent: is_idempotent(parts.method.as_str()) && !websocket,
            upgrade: websocket,
            priority: self.priority,
        };
        let response =
            round_trip::send_http1(&mut self.client, context, &upstream_request, interim).await;
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
