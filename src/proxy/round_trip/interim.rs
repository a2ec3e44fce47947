//! Interim responses (RFC 9110 §15.2): as the client's protocol has them, and the bound on them.

use bytes::{Bytes, BytesMut};
use http::Response;

use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::codec::h1::response::{Persistence, ResponseHead, write_from_http2};
use crate::proxy::codec::message::Framing;
use crate::proxy::error::UpstreamError;

/// Interim responses of one request (RFC 9110 §15.2), and their bytes: no progress takes more, and over
/// HTTP/2 they wait for a client that does not read.
const MAX_INTERIM: usize = 32;
const MAX_INTERIM_BYTES: usize = 16 * 1024;

/// The head of an interim response, by the protocol of the upstream.
pub(crate) enum InterimHead<'a> {
    Http1(&'a ResponseHead<'a>),
    Http2(Response<()>),
}

impl InterimHead<'_> {
    /// The head for an HTTP/1.1 client.
    pub(crate) fn to_http1(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::Http1(head) => head.write_to(&mut out, Framing::None, Persistence::Default),
            Self::Http2(head) => {
                write_from_http2(head, &mut out, Framing::None, Persistence::Default);
            }
        }
        out.freeze()
    }

    /// The head for an HTTP/2 client.
    pub(crate) fn into_http2(self) -> Result<Response<()>, HeadError> {
        match self {
            Self::Http1(head) => head.to_http2(),
            Self::Http2(head) => Ok(head),
        }
    }
}

/// The interim responses of a request so far.
#[derive(Default)]
pub(crate) struct Interim {
    count: usize,
    bytes: usize,
}

impl Interim {
    /// One more came; whether it is within the bound.
    pub(crate) fn count(&mut self, bytes: usize) -> Result<(), UpstreamError> {
        self.count += 1;
        self.bytes += bytes;
        if self.count > MAX_INTERIM || self.bytes > MAX_INTERIM_BYTES {
            return Err(UpstreamError::BadResponse(HeadError::TooManyInterim));
        }
        Ok(())
    }
}
