//! A final response of either kind of upstream, as the server sides need it: what follows its head is the same
//! whichever protocol it came by.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Response, StatusCode};

use super::http1::Http1Response;
use super::http2::Http2Response;
use crate::proxy::codec::h1::connection::H1;
use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::codec::h1::request::{USUAL_FIELDS, no_fields};
use crate::proxy::codec::h1::response::{
    Persistence, ResponseHead, framing_of_http2, write_from_http2,
};
use crate::proxy::codec::h2::opened_stream::OpenedStream;
use crate::proxy::codec::headers::{self, EVIDENCE, put_field, strip_hop_by_hop};
use crate::proxy::codec::message::{Framing, MessageStream};
use crate::proxy::context::Context;
use crate::proxy::exchange::Upload;
use crate::proxy::pace::{announces_stream, is_stream};
use crate::proxy::upstream::Socket;

/// A response whose head is here and whose body follows.
pub(crate) trait UpstreamResponse {
    type Body: MessageStream;

    /// The head for an HTTP/1 client, written once `outgoing` has said how the body ends there; then begins the
    /// body. `timed`: whether the response is a stream matters.
    fn to_http1(
        &mut self,
        is_head: bool,
        timed: bool,
        outgoing: impl FnOnce(Framing) -> (Framing, Persistence),
    ) -> Result<Http1Head, HeadError>;

    /// The head as HTTP/2 has it; then begins the body.
    fn to_http2(&mut self, is_head: bool) -> Result<Http2Head, HeadError>;

    fn body(&mut self) -> &mut Self::Body;

    /// Both directions are bytes as they come from here on.
    fn start_tunnel(&mut self);

    /// How far the request got with the head of the response.
    fn upload(&self) -> Upload;

    /// After the body. `complete`: both messages are, and nothing has to be called off.
    fn end(self, context: &Context, complete: bool);
}

/// A head for an HTTP/1 client.
pub(crate) struct Http1Head {
    pub(crate) status: u16,
    pub(crate) bytes: Bytes,
    /// How the body ends for the client.
    pub(crate) framing: Framing,
    pub(crate) after: Persistence,
    /// Its body comes in pieces over time, as far as that matters.
    pub(crate) stream: bool,
}

/// A head for an HTTP/2 client.
pub(crate) struct Http2Head {
    pub(crate) response: Response<()>,
    /// How the body ends at the upstream.
    pub(crate) framing: Framing,
    /// Bytes that it came as.
    pub(crate) size: usize,
}

impl UpstreamResponse for Http1Response {
    type Body = H1<Socket>;

    fn to_http1(
        &mut self,
        is_head: bool,
        timed: bool,
        outgoing: impl FnOnce(Framing) -> (Framing, Persistence),
    ) -> Result<Http1Head, HeadError> {
        let group = self.connection.stream().group();
        let mut fields_buf = no_fields();
        let head = self.connection.head(self.length);
        let mut head = ResponseHead::parse(head, &mut fields_buf, is_head)?;
        if group.is_some() {
            head.leave_out(EVIDENCE);
        }
        let (framing, after) = outgoing(head.framing);
        let mut bytes = BytesMut::new();
        if head.status == 101 {
            head.write_upgrade_to(&mut bytes);
        } else {
            head.write_to(&mut bytes, framing, after);
        }
        if let Some(group) = group {
            // Before the blank line.
            bytes.truncate(bytes.len() - 2);
            put_field(&mut bytes, EVIDENCE.as_bytes(), group.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        let written = Http1Head {
            status: head.status,
            bytes: bytes.freeze(),
            framing,
            after,
            stream: timed && head.content_type().is_some_and(is_stream),
        };
        self.kept = head.keep_alive;
        let incoming = head.framing;
        self.connection.start_body(self.length, incoming);
        Ok(written)
    }

    fn to_http2(&mut self, is_head: bool) -> Result<Http2Head, HeadError> {
        let head = self.connection.head(self.length);
        let (mut response, framing, kept) = ResponseHead::read(head, is_head)?;
        if let Some(group) = self.connection.stream().group() {
            headers::put_evidence(response.headers_mut(), group);
        }
        self.kept = kept;
        self.connection.start_body(self.length, framing);
        Ok(Http2Head {
            response,
            framing,
            size: self.length,
        })
    }

    fn body(&mut self) -> &mut H1<Socket> {
        &mut self.connection
    }

    fn start_tunnel(&mut self) {
        self.connection.start_tunnel();
    }

    fn upload(&self) -> Upload {
        self.upload
    }

    fn end(mut self, context: &Context, complete: bool) {
        if complete && self.connection.is_drained() {
            self.connection.stream_mut().set_orderly(true);
            if self.kept {
                context.upstream.checkin(self.connection);
            }
        }
    }
}

impl UpstreamResponse for Http2Response {
    type Body = OpenedStream;

    fn to_http1(
        &mut self,
        is_head: bool,
        timed: bool,
        outgoing: impl FnOnce(Framing) -> (Framing, Persistence),
    ) -> Result<Http1Head, HeadError> {
        let Http2Head {
            response, framing, ..
        } = self.to_http2(is_head)?;
        let (framing, after) = outgoing(framing);
        let mut bytes = BytesMut::new();
        write_from_http2(&response, &mut bytes, framing, after);
        Ok(Http1Head {
            status: response.status().as_u16(),
            bytes: bytes.freeze(),
            framing,
            after,
            stream: timed && announces_stream(response.headers().get(CONTENT_TYPE)),
        })
    }

    fn to_http2(&mut self, is_head: bool) -> Result<Http2Head, HeadError> {
        if self.response.headers().len() > USUAL_FIELDS {
            return Err(HeadError::TooManyFields);
        }
        let mut response = std::mem::take(&mut self.response);
        strip_hop_by_hop(response.headers_mut());
        if response.status() == StatusCode::NO_CONTENT {
            // A 204 has no length (RFC 9110 §8.6).
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        if is_head
            || matches!(
                response.status(),
                StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
            )
        {
            // None has content, whatever the server sends (RFC 9110 §9.3.2 and §15.4.5).
            self.stream.end_with_head();
        }
        if let Some(group) = self.group() {
            headers::put_evidence(response.headers_mut(), group);
        }
        Ok(Http2Head {
            framing: framing_of_http2(&response, is_head, self.stream.at_end()),
            size: headers::size(response.headers()),
            response,
        })
    }

    fn body(&mut self) -> &mut OpenedStream {
        &mut self.stream
    }

    /// A stream has no framing of its own.
    fn start_tunnel(&mut self) {}

    fn upload(&self) -> Upload {
        self.upload
    }

    fn end(mut self, _: &Context, complete: bool) {
        if !complete {
            self.stream.cancel();
        }
    }
}
