//! The way back of a stream: a response of either kind of upstream to an HTTP/2 client, to its
//! end or to where it breaks.

use h2::Reason;
use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};

use super::Served;
use crate::metrics::Code;
use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::codec::h2::stream::{USUAL_HEAD, grpc_status};
use crate::proxy::codec::message::{FramingError, MessageError, MessageStream};
use crate::proxy::context::Sample;
use crate::proxy::error::{Outcome, UpstreamError};
use crate::proxy::exchange::{Broken, Exchange, Upload};
use crate::proxy::failure_log::{BAD_BODY, NO_HEAD, NO_REQUEST};
use crate::proxy::pace::announces_stream;
use crate::proxy::round_trip::{RoundTripError, UpstreamResponse};
use crate::proxy::signed::bad_digest;
use crate::proxy::tunnel;

/// Why we break off a stream whose response had begun.
const IDLE: &str = "both sides were silent for idle-timeout";
const CLIENT_TIMEOUT: &str = "the client did not go on for client-timeout";
const SHED: &str = "the client did not go on, and the listener is full";

impl Served<'_> {
    /// Forwards a response of either kind of upstream, or says why there is none. `key`: a WebSocket was asked for.
    pub(super) async fn respond<R: UpstreamResponse>(
        &mut self,
        response: Result<R, RoundTripError>,
        key: Option<&str>,
        sample: &mut Sample<'_>,
    ) {
        let mut response = match response {
            Ok(response) => response,
            Err(why) => return self.reply_to_error(why, sample),
        };
        let mut head = match response.to_http2(self.is_head) {
            Ok(head) => head,
            Err(error) => {
                return self.reply_to_error(UpstreamError::BadResponse(error).into(), sample);
            }
        };
        if head.size > USUAL_HEAD
            && self.receipt.is_none()
            && !Box::pin(self.client.memory_for_head(head.size)).await
        {
            response.end(self.context, false);
            return self.reply_overloaded(NO_HEAD, sample);
        }
        if head.response.status() == 101 {
            // The key is ours, so that nobody else can verify it.
            let accepted = head.response.headers_mut().remove("sec-websocket-accept");
            let expected = key.map(tunnel::accepts);
            if accepted.as_ref().map(HeaderValue::as_bytes)
                != expected.as_deref().map(str::as_bytes)
            {
                let error = UpstreamError::BadResponse(HeadError::WebSocketAccept);
                return self.reply_to_error(error.into(), sample);
            }
            *head.response.status_mut() = http::StatusCode::OK;
            response.start_tunnel();
            return self.tunnel(head.response, response.body(), sample).await;
        }
        if key.is_some() && head.response.status().is_success() {
            // It would tell the client that the tunnel stands (RFC 8441 §5).
            let error = UpstreamError::BadResponse(HeadError::Malformed);
            return self.reply_to_error(error.into(), sample);
        }
        let upload = response.upload();
        if let Some(receipt) = self.receipt.take() {
            let forwarding = self.forward_signed(&receipt, head, response.body(), upload, sample);
            let passed = Box::pin(forwarding).await;
            let complete = matches!(passed, Some((Ok(()), Upload::Done)));
            response.end(self.context, complete);
            if let Some((result, _)) = passed {
                self.conclude(result, sample).await;
            }
            return;
        }
        self.head(&head.response, sample);
        let clock = sample.clock(|| announces_stream(head.response.headers().get(CONTENT_TYPE)));
        let last = response.body().at_end();
        if self.client.start_response(head.response, last).is_err() {
            return response.end(self.context, false);
        }
        let timeouts = self.context.settings.timeouts();
        let exchange = Exchange::resumed(&mut self.client, response.body(), timeouts, upload);
        let mut exchange = exchange.timing(clock);
        let result = exchange.run().await;
        let complete = result.is_ok() && exchange.upload() == Upload::Done;
        response.end(self.context, complete);
        self.conclude(result, sample).await;
    }

    async fn tunnel<U: MessageStream>(
        &mut self,
        response: Response<()>,
        up: &mut U,
        sample: &mut Sample<'_>,
    ) {
        sample.responded_with(200);
        if self.client.start_response(response, false).is_err() {
            return;
        }
        let relayed = tunnel::run(&mut self.client, up, self.context).await;
        if relayed.is_whole {
            sample.complete();
        } else {
            self.broken_off(relayed.outcome);
            if relayed.outcome == Outcome::UpstreamBroken {
                self.client.flushed().await;
            }
            self.client.reset(Reason::CANCEL);
        }
    }

    /// Counts a response head: for gRPC the status comes later, or now in a trailers-only response.
    pub(super) fn head(&self, response: &Response<()>, sample: &mut Sample<'_>) {
        let status = response.status().as_u16();
        if !self.grpc {
            return sample.responded_with(status);
        }
        sample.responded();
        sample.status = match grpc_status(response.headers()) {
            Some(code) => Code::Grpc(code),
            None if status == 200 => Code::Broken,
            None => Code::Http(status),
        };
    }

    /// What the client still sends of its request is refused when the stream is dropped
    /// (RFC 9113 §8.1); a response that broke off is reset, never ended.
    async fn conclude(&mut self, result: Result<(), Broken>, sample: &mut Sample<'_>) {
        if let Some(status) = self.client.grpc_status().filter(|_| self.grpc) {
            sample.status = Code::Grpc(status);
        }
        let Err(broken) = result else {
            return sample.complete();
        };
        match &broken {
            Broken::Client(MessageError::Framing(FramingError::Digest)) => {
                bad_digest(self.context);
            }
            Broken::Client(MessageError::Framing(_)) => self.context.broken_off(BAD_BODY),
            Broken::Client(MessageError::Memory) => self.context.broken_off(NO_REQUEST),
            broken => self.broken_off(broken.outcome()),
        }
        let reason = match broken {
            Broken::Client(_) | Broken::Untaken | Broken::Idle | Broken::Shed | Broken::Timeout => {
                Reason::CANCEL
            }
            Broken::Upstream(error) => {
                self.context.answer_broken(&error);
                self.client.flushed().await;
                match error {
                    MessageError::Reset(reason) => reason,
                    _ => Reason::INTERNAL_ERROR,
                }
            }
        };
        self.client.reset(reason);
    }

    /// Says why we broke the stream off, if we did: no outcome of the connection does.
    fn broken_off(&self, outcome: Outcome) {
        match outcome {
            Outcome::IdleTimeout => self.context.broken_off(IDLE),
            Outcome::Timeout => self.context.broken_off(CLIENT_TIMEOUT),
            Outcome::Shed => self.context.broken_off(SHED),
            _ => {}
        }
    }
}
