//! `hybridge.demo.Echo`: `Unary` and `Stream` give messages back as they came, whatever they hold
//! (gRPC over HTTP/2, length-prefixed messages, status in trailers).

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode, Version};
use http_body_util::{BodyExt, Empty, Full, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::reply::{EVIDENCE, Payload, Refusal, Reply, evidence, streamed, typed};

/// What a path to a method starts with.
pub(super) const SERVICE: &str = "/hybridge.demo.Echo/";

const CONTENT: &str = "application/grpc";
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Compressed flag and length.
const PREFIX: usize = 5;
/// The limit of most gRPC implementations.
const MAX_MESSAGE: usize = 4 << 20;

const INVALID_ARGUMENT: &str = "3";
const RESOURCE_EXHAUSTED: &str = "8";
const UNIMPLEMENTED: &str = "12";

/// Responds to a call; its metadata says how the connection was keyed.
pub(super) async fn call(request: Request<Incoming>) -> Reply {
    if let Err(refusal) = speaks_grpc(&request) {
        return refusal.reply();
    }
    let group = evidence(&request);
    let method = request.uri().path().strip_prefix(SERVICE);
    let mut reply = match method {
        Some("Stream") => typed(CONTENT, ended(request.into_body())),
        Some("Unary") => unary(request.into_body()).await,
        _ => failed(UNIMPLEMENTED, "Echo has the methods Unary and Stream"),
    };
    if let Some(group) = group.and_then(|group| HeaderValue::try_from(group).ok()) {
        reply.headers_mut().insert(EVIDENCE, group);
    }
    reply
}

fn speaks_grpc(request: &Request<Incoming>) -> Result<(), Refusal> {
    if request.method() != Method::POST || request.version() != Version::HTTP_2 {
        return Err(Refusal::bad("gRPC is a POST over HTTP/2"));
    }
    let content_type = request.headers().get(CONTENT_TYPE);
    if content_type.is_none_or(|value| !value.as_bytes().starts_with(CONTENT.as_bytes())) {
        let message = format!("content-type is not {CONTENT}");
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    Ok(())
}

async fn unary(body: Incoming) -> Reply {
    match Limited::new(body, PREFIX + MAX_MESSAGE).collect().await {
        Ok(body) => echoed(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            failed(RESOURCE_EXHAUSTED, "the message is larger than 4 MiB")
        }
        Err(_) => failed(INVALID_ARGUMENT, "the message broke off"),
    }
}

fn echoed(bytes: Bytes) -> Reply {
    if one_message(&bytes) {
        let body = Full::new(bytes).map_err(|never| match never {});
        typed(CONTENT, ended(body))
    } else {
        failed(INVALID_ARGUMENT, "not exactly one message")
    }
}

fn one_message(bytes: &[u8]) -> bool {
    let length = bytes.get(1..PREFIX).and_then(|field| field.try_into().ok());
    length.is_some_and(|field| u32::from_be_bytes(field) as usize == bytes.len() - PREFIX)
}

/// What goes back, with the status of a call that went well behind it.
fn ended<B>(body: B) -> Payload
where
    B: hyper::body::Body<Data = Bytes, Error = hyper::Error> + Send + 'static,
{
    let ok = HeaderMap::from_iter([(STATUS, HeaderValue::from_static("0"))]);
    body.with_trailers(std::future::ready(Some(Ok(ok))))
        .boxed_unsync()
}

/// Only trailers: status and message stand where the headers do.
fn failed(status: &'static str, message: &'static str) -> Reply {
    let mut reply = typed(CONTENT, streamed(Empty::new()));
    let headers = reply.headers_mut();
    headers.insert(STATUS, HeaderValue::from_static(status));
    headers.insert(MESSAGE, HeaderValue::from_static(message));
    reply
}

#[cfg(test)]
mod tests {
    use super::one_message;

    #[test]
    fn a_message_is_as_long_as_its_prefix_says() {
        assert!(one_message(&[0, 0, 0, 0, 0]));
        assert!(one_message(&[0, 0, 0, 0, 2, 7, 7]));
        for wrong in [
            &[][..],
            &[0, 0, 0, 0],
            &[0, 0, 0, 0, 2, 7],
            &[0, 0, 0, 0, 0, 7],
        ] {
            assert!(!one_message(wrong), "{wrong:?}");
        }
    }
}
