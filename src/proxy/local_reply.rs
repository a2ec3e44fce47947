//! Responses that the proxy makes itself: a short plain body, `server-timing`, and a grpc-status for
//! gRPC (gRPC over HTTP/2, "Responses").

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::error::UpstreamError;
use crate::signature::Refusal;

/// Why the proxy responds itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LocalReply {
    /// The head of the request was refused.
    BadHead(HeadError),
    /// The body of the request broke its framing.
    BadBody,
    /// The signatures of the request do not verify.
    Signature(Refusal),
    /// The head was not complete in time.
    HeadTimeout,
    /// The body did not come, and another client waited for the place.
    Shed,
    /// The body did not come in time.
    ClientTimeout,
    /// The process has no memory for the request.
    Overloaded,
    /// The upstream failed before it responded.
    Upstream { status: u16, reason: &'static str },
}

impl From<&UpstreamError> for LocalReply {
    fn from(error: &UpstreamError) -> Self {
        Self::Upstream {
            status: error.status(),
            reason: error.reason(),
        }
    }
}

impl LocalReply {
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::BadHead(error) => error.status(),
            Self::BadBody => 400,
            Self::Signature(refusal) => refusal.status(),
            Self::HeadTimeout | Self::Shed | Self::ClientTimeout => 408,
            Self::Overloaded => 503,
            Self::Upstream { status, .. } => status,
        }
    }

    /// A word from a closed set, in `server-timing` and in the body.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::BadHead(HeadError::TooManyFields) => "too_many_fields",
            Self::BadHead(HeadError::Connect | HeadError::LateConnect) => "connect_not_served",
            Self::BadHead(_) => "bad_request",
            Self::BadBody => "bad_request_body",
            Self::Signature(refusal) => refusal.as_str(),
            Self::HeadTimeout => "head_timeout",
            Self::Shed => "shed",
            Self::ClientTimeout => "client_timeout",
            Self::Overloaded => "overloaded",
            Self::Upstream { reason, .. } => reason,
        }
    }

    /// Seconds after which the same request may succeed.
    fn retry_after(self) -> Option<u64> {
        match self {
            Self::Signature(Refusal::TableFull(seconds)) => Some(seconds),
            _ => None,
        }
    }

    fn text(self) -> String {
        let status = StatusCode::from_u16(self.status()).ok();
        let phrase = status.and_then(|status| status.canonical_reason());
        format!("{} ({})\n", phrase.unwrap_or("Error"), self.reason())
    }

    /// As a whole HTTP/1.1 message.
    pub(crate) fn to_http1(self, close: bool, with_body: bool) -> Bytes {
        self.to_http1_with(close, with_body, "")
    }

    /// The same with further field lines, each with its CRLF.
    pub(crate) fn to_http1_with(self, close: bool, with_body: bool, fields: &str) -> Bytes {
        let text = self.text();
        let phrase = StatusCode::from_u16(self.status())
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or("Error");
        let connection = if close { "connection: close\r\n" } else { "" };
        let body = if with_body { text.as_str() } else { "" };
        let retry = self.retry_after();
        let retry = retry.map(|seconds| format!("retry-after: {seconds}\r\n"));
        let retry = retry.unwrap_or_default();
        Bytes::from(format!(
            "HTTP/1.1 {} {phrase}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nserver-timing: hybridge;desc=\"{}\"\r\n{fields}{retry}{connection}\r\n{body}",
            self.status(),
            text.len(),
            self.reason(),
        ))
    }

    /// As an HTTP/2 response head and body.
    pub(crate) fn to_http2(self) -> (Response<()>, Bytes) {
        let text = Bytes::from(self.text());
        let mut response = Response::new(());
        *response.status_mut() =
            StatusCode::from_u16(self.status()).unwrap_or(StatusCode::BAD_GATEWAY);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        self.put_timing(headers);
        (response, text)
    }

    /// As a trailers-only gRPC response.
    pub(crate) fn to_grpc(self) -> Response<()> {
        let mut response = Response::new(());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(
            "grpc-status",
            HeaderValue::from(u16::from(self.grpc_status())),
        );
        if let Ok(message) = HeaderValue::from_str(&format!("hybridge: {}", self.reason())) {
            headers.insert("grpc-message", message);
        }
        self.put_timing(headers);
        response
    }

    /// UNAVAILABLE; INTERNAL for a request that should not have been made, UNAUTHENTICATED for one of nobody.
    pub(crate) fn grpc_status(self) -> u8 {
        match self.status() {
            401 => 16,
            400..500 => 13,
            _ => 14,
        }
    }

    fn put_timing(self, headers: &mut http::HeaderMap) {
        let timing = format!("hybridge;desc=\"{}\"", self.reason());
        if let Ok(timing) = HeaderValue::from_str(&timing) {
            headers.insert("server-timing", timing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_replay_table_is_no_fault_of_the_client() {
        let reply = LocalReply::Signature(Refusal::TableFull(7));
        let text = String::from_utf8_lossy(&reply.to_http1(true, true)).into_owned();
        assert!(
            text.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
            "{text}"
        );
        assert!(text.contains("\r\nretry-after: 7\r\n"), "{text}");
        let (response, _) = reply.to_http2();
        assert_eq!(response.headers()[RETRY_AFTER], "7");
        assert_eq!(reply.grpc_status(), 14);
        assert_eq!(LocalReply::Signature(Refusal::Replayed).grpc_status(), 16);
    }
}
