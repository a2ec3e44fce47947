//! The framing of gRPC over HTTP/2: length-prefixed messages and `grpc-status` in the trailers.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Method, Request};

/// Length-prefixed messages as they arrive.
#[derive(Debug, Default)]
pub(super) struct Messages {
    pub(super) buffer: BytesMut,
}

impl Messages {
    /// Takes one whole length-prefixed message off and returns its length.
    pub(super) fn take(&mut self) -> Option<usize> {
        let prefix = self.buffer.get(1..5)?;
        let length = u32::from_be_bytes([prefix[0], prefix[1], prefix[2], prefix[3]]) as usize;
        if self.buffer.len() < 5 + length {
            return None;
        }
        // Dropped at once: only its length matters.
        drop(self.buffer.split_to(5 + length));
        Some(length)
    }
}

/// A gRPC request head.
pub fn grpc_request(authority: &str, path: &str) -> Result<Request<()>, http::Error> {
    Request::builder()
        .method(Method::POST)
        .uri(format!("https://{authority}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
}

/// A length-prefixed message of filler bytes.
pub(super) fn frame(length: usize) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + length);
    frame.put_u8(0);
    frame.put_u32(length as u32);
    frame.put_bytes(b'g', length);
    frame.freeze()
}

/// An error unless `grpc-status` is 0 or, before the trailers, absent.
pub(super) fn check_status(head: &HeaderMap, trailers: Option<&HeaderMap>) -> io::Result<()> {
    let status = trailers
        .unwrap_or(head)
        .get("grpc-status")
        .or_else(|| head.get("grpc-status"));
    match status.map(http::HeaderValue::as_bytes) {
        None | Some(b"0") => Ok(()),
        Some(other) => Err(io::Error::other(format!(
            "grpc-status {}",
            String::from_utf8_lossy(other)
        ))),
    }
}
