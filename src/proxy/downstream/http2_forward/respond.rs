//! The way back of a stream: a response of either kind of upstream to an HTTP/2 client, to its
//! end or to where it breaks.

use h2::Reason;
use http::Response;
use http::header::CONTENT_TYPE;

use super::Served;
use crate::metrics::Code;
use crate::proxy::codec::h1::connection::H1;
use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::codec::h1::response::{ResponseHead, framing_of_http2};
use crate::proxy::codec::h2::stream::{USUAL_HEAD, grpc_status};
use crate::proxy::codec::headers::{self, strip_hop_by_hop};
use crate::proxy::codec::message::{Framing, FramingError, MessageError, MessageStream};
use crate::proxy::context::Sample;
use crate::proxy::error::{Outcome, UpstreamError};
use crate::proxy::exchange::{Broken, Exchange, Upload};
use crate::proxy::local_reply::LocalReply;
use crate::proxy::pace::announces_stream;
use crate::proxy::round_trip::{Http1Response, Http2Response};
use crate::proxy::signed::bad_digest;
use crate::proxy::tunnel;
use crate::proxy::upstream::Socket;

impl Served<'_> {
    /// Passes a response on whose head stands in the connection's buffer.
    pub(super) async fn respond(
        &mut self,
        answered: Http1Response,
        websocket: bool,
        sample: &mut Sample<'_>,
    ) {
        let Http1Response {
            connection: mut up,
            length,
            upload,
        } = answered;
        let (mut response, incoming, kept) = match ResponseHead::read(up.head(length), self.is_head)
        {
            Ok(head) => head,
            Err(error) => {
                return self.unanswered(UpstreamError::BadResponse(error).into(), sample);
            }
        };
        if let Some(group) = up.stream().group() {
            headers::put_evidence(response.headers_mut(), group);
        }
        if length > USUAL_HEAD
            && self.receipt.is_none()
            && !Box::pin(self.client.memory_for_head(length)).await
        {
            return self.reply(LocalReply::Overloaded, sample);
        }
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
        if let Some(receipt) = self.receipt.take() {
            let answer = (response, incoming);
            let passing = self.pass_signed(&receipt, answer, &mut *up, upload, sample);
            let Some((result, upload)) = Box::pin(passing).await else {
                return;
            };
            if result.is_ok() && kept && upload == Upload::Done && up.is_drained() {
                self.context.upstream.checkin(up);
            }
            return self.conclude(result, sample).await;
        }
        let last = matches!(incoming, Framing::None | Framing::Length(0));
        self.head(&response, sample);
        let clock = sample.clock(|| announces_stream(response.headers().get(CONTENT_TYPE)));
        if self.client.start_response(response, last).is_err() {
            return sample.broken();
        }
        let idle = self.context.settings.idle_timeout;
        let mut exchange =
            Exchange::resumed(&mut self.client, &mut *up, idle, upload).timing(idle, clock);
        let result = exchange.run().await;
        let upload = exchange.upload();
        if result.is_ok() && kept && upload == Upload::Done && up.is_drained() {
            self.context.upstream.checkin(up);
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
        let outcome = tunnel::run(&mut self.client, &mut up, self.context).await;
        if outcome != Outcome::Closed {
            sample.broken();
            if outcome == Outcome::UpstreamBroken {
                self.client.flushed().await;
            }
            self.client.reset(Reason::CANCEL);
        }
    }

    pub(super) async fn respond_from_http2(
        &mut self,
        answered: Http2Response,
        sample: &mut Sample<'_>,
    ) {
        let group = answered.group();
        let Http2Response {
            stream: mut up,
            mut response,
            upload,
            ..
        } = answered;
        strip_hop_by_hop(response.headers_mut());
        if let Some(group) = group {
            headers::put_evidence(response.headers_mut(), group);
        }
        let size = headers::size(response.headers());
        if size > USUAL_HEAD
            && self.receipt.is_none()
            && !Box::pin(self.client.memory_for_head(size)).await
        {
            up.cancel();
            return self.reply(LocalReply::Overloaded, sample);
        }
        if let Some(receipt) = self.receipt.take() {
            let incoming = framing_of_http2(&response, self.is_head, up.at_end());
            let answer = (response, incoming);
            let passing = self.pass_signed(&receipt, answer, &mut up, upload, sample);
            let passed = Box::pin(passing).await;
            if !matches!(passed, Some((Ok(()), Upload::Done))) {
                up.cancel();
            }
            if let Some((result, _)) = passed {
                self.conclude(result, sample).await;
            }
            return;
        }
        self.head(&response, sample);
        let clock = sample.clock(|| announces_stream(response.headers().get(CONTENT_TYPE)));
        let last = up.at_end();
        if self.client.start_response(response, last).is_err() {
            up.cancel();
            return sample.broken();
        }
        let idle = self.context.settings.idle_timeout;
        let mut exchange =
            Exchange::resumed(&mut self.client, &mut up, idle, upload).timing(idle, clock);
        let result = exchange.run().await;
        if result.is_err() || exchange.upload() != Upload::Done {
            up.cancel();
        }
        self.conclude(result, sample).await;
    }

    /// Counts a response head: for gRPC the status comes later, or now in a trailers-only response.
    pub(super) fn head(&self, response: &Response<()>, sample: &mut Sample<'_>) {
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
        if matches!(
            broken,
            Broken::Client(MessageError::Framing(FramingError::Digest))
        ) {
            bad_digest(self.context);
        }
        let reason = match broken {
            Broken::Client(_) | Broken::Idle => Reason::CANCEL,
            Broken::Upstream(error) => {
                self.context.answer_broken();
                self.client.flushed().await;
                match error {
                    MessageError::Reset(reason) => reason,
                    _ => Reason::INTERNAL_ERROR,
                }
            }
        };
        self.client.reset(reason);
    }
}
