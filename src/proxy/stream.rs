//! One HTTP/2 stream: a request passed on to either kind of inference server, and its response.

use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response};

mod head;

use self::head::{CRUMB, framing_of, head_size, host_of, to_request, write_head};
use super::answer::Answer;
use super::ask::{self, Answered, AnsweredOverHttp2, Ask, Unanswered};
use super::context::{Context, Sample};
use super::error::{Outcome, UpstreamError};
use super::exchange::{Broken, Exchange, Upload};
use super::h1::body::Framing;
use super::h1::connection::H1;
use super::h1::request::{HeadError, is_grpc, no_fields, valid_host};
use super::h1::response::ResponseHead;
use super::h2_peer::{ServedStream, grpc_status};
use super::headers::{strip_hop_by_hop, strip_owned};
use super::http1::is_idempotent;
use super::peer::{Peer, PeerError};
use super::unsent::{StreamPermit, Unsent};
use super::upstream::Socket;
use super::{UpstreamHttp, upgrade};
use crate::metrics::{Code, RequestProtocol};
use crate::worker;

/// A stream's part of what is shared, until its end.
pub(super) struct Share {
    /// None if the process has as many streams as it may have.
    pub(super) permit: Option<StreamPermit>,
    pub(super) unsent: Arc<Unsent>,
    pub(super) load: worker::Share,
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
    let ended = body.is_end_stream();
    let mut stream = Served {
        client: ServedStream::new(body, respond, unsent),
        context: &context,
        grpc,
        to_head: parts.method == Method::HEAD,
    };
    if permit.is_none() {
        let answer = Answer {
            status: 503,
            reason: "overloaded",
        };
        return stream.answer(answer, &mut sample);
    }
    let host = match stream.prepare(&mut parts, websocket) {
        Ok(host) => host,
        Err(answer) => {
            tracing::info!(
                listener = %context.listener(),
                reason = answer.reason,
                status = answer.status,
                "request refused"
            );
            stream.answer(answer, &mut sample);
            drop(sample);
            return stream.end().await;
        }
    };
    let host = host.as_deref();
    let over_http2 = !websocket
        && match context.settings.upstream_http {
            UpstreamHttp::Auto => grpc,
            UpstreamHttp::Http1 => false,
            UpstreamHttp::Http2 => true,
        };
    if over_http2 {
        stream.over_http2(parts, host, ended, &mut sample).await;
    } else {
        stream
            .over_http1(&parts, host, ended, websocket, &mut sample)
            .await;
    }
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
    to_head: bool,
}

impl Served<'_> {
    /// After the response: what is left of the request.
    async fn end(mut self) {
        if !self.client.at_end() {
            // Boxed: hardly any stream comes here, and each would be as large.
            let _ = Box::pin(self.client.discard()).await;
        }
    }

    /// Judges a request and leaves those of its fields that cross; the host it is for.
    fn prepare(&self, parts: &mut Parts, websocket: bool) -> Result<Option<Vec<u8>>, Answer> {
        let bad = |status, reason| Err(Answer { status, reason });
        if parts.method == Method::CONNECT && !websocket {
            return bad(501, "connect_not_served");
        }
        // Cookie crumbs are one field (RFC 9113 §8.2.3): a limit is one of the message, not of the
        // way it came.
        let crumbs = parts.headers.get_all(COOKIE).iter().count();
        let settings = &self.context.settings;
        if parts.headers.len() - crumbs.saturating_sub(1) > settings.max_headers {
            return bad(431, "too_many_fields");
        }
        if head_size(parts) - crumbs.saturating_sub(1) * CRUMB > settings.max_head_bytes {
            return bad(431, "bad_request");
        }
        let hosts = parts.headers.get_all(HOST).iter().count();
        if hosts > 1 || parts.headers.get_all(CONTENT_LENGTH).iter().count() > 1 {
            return bad(400, "bad_request");
        }
        let host = host_of(parts);
        if host.as_ref().is_some_and(|host| !valid_host(host)) || !has_target(parts) {
            return bad(400, "bad_request");
        }
        strip_hop_by_hop(&mut parts.headers);
        parts.headers.remove(HOST);
        strip_owned(&mut parts.headers, &self.context.identity);
        Ok(host)
    }

    async fn over_http1(
        &mut self,
        parts: &Parts,
        host: Option<&[u8]>,
        ended: bool,
        websocket: bool,
        sample: &mut Sample<'_>,
    ) {
        let framing = if websocket {
            Framing::None
        } else {
            framing_of(parts, ended)
        };
        let head = write_head(parts, host, framing, websocket, self.context);
        let ask = Ask {
            head: &head,
            framing,
            to_head: self.to_head,
            idempotent: is_idempotent(parts.method.as_str()) && !websocket,
            upgrade: websocket,
        };
        let interim = |client: &mut ServedStream, head: &ResponseHead<'_>| {
            if let Ok(response) = head.to_http2() {
                // An interim response that cannot be passed on is no loss of the final one.
                let _ = client.send_interim(response);
            }
        };
        match ask::over_http1(&mut self.client, self.context, &ask, interim).await {
            Ok(answered) => self.respond(answered, websocket, sample).await,
            Err(why) => self.unanswered(why, sample),
        }
    }

    /// Passes a response on whose head stands in the connection's buffer.
    async fn respond(&mut self, answered: Answered, websocket: bool, sample: &mut Sample<'_>) {
        let Answered {
            connection: mut up,
            length,
            upload,
        } = answered;
        let (mut response, incoming, kept) = match read_head(up.head(length), self.to_head) {
            Ok(head) => head,
            Err(error) => {
                return self.unanswered(UpstreamError::BadResponse(error).into(), sample);
            }
        };
        up.start_body(length, incoming);
        if response.status() == 101 {
            *response.status_mut() = http::StatusCode::OK;
            response.headers_mut().remove("sec-websocket-accept");
            return self.tunnel(response, *up, sample).await;
        }
        if websocket && response.status().is_success() {
            // It would tell the client that the tunnel stands (RFC 8441 §5).
            let error = UpstreamError::BadResponse(HeadError::Malformed);
            return self.unanswered(error.into(), sample);
        }
        let last = matches!(incoming, Framing::None | Framing::Length(0));
        self.head(&response, sample);
        if self.client.start_response(response, last).is_err() {
            return sample.broken();
        }
        let idle = self.context.settings.idle_timeout;
        let mut exchange = Exchange::resumed(&mut self.client, &mut *up, idle, upload);
        let result = exchange.run().await;
        let upload = exchange.upload();
        if result.is_ok() && kept && upload == Upload::Done && up.is_drained() {
            self.context.upstream.keep(up);
        }
        self.conclude(result, sample).await;
    }

    async fn tunnel(
        &mut self,
        response: Response<()>,
        mut up: H1<Socket>,
        sample: &mut Sample<'_>,
    ) {
        sample.answered_with(200);
        if self.client.start_response(response, false).is_err() {
            return sample.broken();
        }
        up.start_tunnel();
        let outcome = upgrade::run(&mut self.client, &mut up, self.context).await;
        if outcome != Outcome::Closed {
            sample.broken();
            if outcome == Outcome::UpstreamBroken {
                self.client.flushed().await;
            }
            self.client.reset(Reason::CANCEL);
        }
    }

    async fn over_http2(
        &mut self,
        parts: Parts,
        host: Option<&[u8]>,
        ended: bool,
        sample: &mut Sample<'_>,
    ) {
        let Some(request) = to_request(parts, host, self.context) else {
            let answer = Answer {
                status: 400,
                reason: "bad_request",
            };
            return self.answer(answer, sample);
        };
        let interim = |client: &mut ServedStream, response: Response<()>| {
            let _ = client.send_interim(response);
        };
        let asking = ask::over_http2(&mut self.client, self.context, request, ended, interim);
        match asking.await {
            Ok(answered) => self.respond_from_http2(answered, sample).await,
            Err(why) => self.unanswered(why, sample),
        }
    }

    async fn respond_from_http2(&mut self, answered: AnsweredOverHttp2, sample: &mut Sample<'_>) {
        let AnsweredOverHttp2 {
            stream: mut up,
            mut response,
            upload,
            ..
        } = answered;
        strip_hop_by_hop(response.headers_mut());
        self.head(&response, sample);
        let last = up.at_end();
        if self.client.start_response(response, last).is_err() {
            up.cancel();
            return sample.broken();
        }
        let idle = self.context.settings.idle_timeout;
        let mut exchange = Exchange::resumed(&mut self.client, &mut up, idle, upload);
        let result = exchange.run().await;
        if result.is_err() || exchange.upload() != Upload::Done {
            up.cancel();
        }
        self.conclude(result, sample).await;
    }

    /// Counts a response head: for gRPC the status comes later, or now in trailers alone.
    fn head(&self, response: &Response<()>, sample: &mut Sample<'_>) {
        let status = response.status().as_u16();
        if !self.grpc {
            return sample.answered_with(status);
        }
        sample.answered();
        sample.code = match grpc_status(response.headers()) {
            Some(code) => Code::Grpc(code),
            None if status == 200 => Code::Broken,
            None => Code::Http(status),
        };
    }

    /// What the client still sends of its request is refused when the stream is dropped
    /// (RFC 9113 §8.1); a response that broke off is reset, never ended.
    async fn conclude(&mut self, result: Result<(), Broken>, sample: &mut Sample<'_>) {
        if let Some(status) = self.client.grpc_status().filter(|_| self.grpc) {
            sample.code = Code::Grpc(status);
        }
        let Err(broken) = result else { return };
        sample.broken();
        let reason = match broken {
            Broken::Client(_) | Broken::Idle => Reason::CANCEL,
            Broken::Upstream(error) => {
                self.context.answer_broken();
                self.client.flushed().await;
                match error {
                    PeerError::Reset(reason) => reason,
                    _ => Reason::INTERNAL_ERROR,
                }
            }
        };
        self.client.reset(reason);
    }

    fn unanswered(&mut self, why: Unanswered, sample: &mut Sample<'_>) {
        match why {
            Unanswered::Client => {}
            Unanswered::BadBody => {
                let answer = Answer {
                    status: 400,
                    reason: "bad_request_body",
                };
                self.answer(answer, sample);
            }
            Unanswered::Upstream(error) => {
                self.context.upstream_failed(&error);
                let answer = Answer {
                    status: error.status(),
                    reason: error.reason(),
                };
                self.answer(answer, sample);
            }
        }
    }

    /// The proxy's own answer. A failure to send it means that nobody waits for it.
    fn answer(&mut self, answer: Answer, sample: &mut Sample<'_>) {
        sample.answered_with(answer.status);
        let (response, body) = if self.grpc {
            sample.code = Code::Grpc(answer.grpc_status());
            (answer.to_grpc(), Bytes::new())
        } else {
            answer.to_http2()
        };
        let body = if self.to_head { Bytes::new() } else { body };
        let _ = self.client.answer(response, body);
    }
}

/// A response head for HTTP/2, the framing of its body, and whether the server keeps the connection.
fn read_head(head: &[u8], to_head: bool) -> Result<(Response<()>, Framing, bool), HeadError> {
    let mut room = no_fields();
    let head = ResponseHead::parse(head, &mut room, to_head)?;
    Ok((head.to_http2()?, head.framing, head.keep_alive))
}
