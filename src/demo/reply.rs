//! Responses of the stub: JSON, and errors in the form of OpenAI's API.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The model that is listed; the stub serves every other name as well.
pub(super) const MODEL: &str = "hybridge-demo";

/// What the sidecar says about the connection.
pub(super) const EVIDENCE: &str = "x-tls-key-exchange";

/// The body of every response; an error of it is an error of the request's body.
pub(super) type Payload = UnsyncBoxBody<Bytes, hyper::Error>;
pub(super) type Reply = Response<Payload>;

/// Largest request body that is read as JSON.
const MAX_JSON: usize = 1 << 20;

/// A refusal as OpenAI's API words it.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
    param: Option<&'static str>,
    code: Option<&'static str>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            param: None,
            code: None,
        }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The parameter that is wrong.
    pub(super) fn about(mut self, param: &'static str) -> Self {
        self.param = Some(param);
        self
    }

    /// A word for programs.
    pub(super) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    pub(super) fn method(allowed: &'static str) -> Reply {
        let message = format!("this path takes {allowed}");
        let mut reply = Self::new(StatusCode::METHOD_NOT_ALLOWED, message).reply();
        let allowed = HeaderValue::from_static(allowed);
        reply.headers_mut().insert(ALLOW, allowed);
        reply
    }

    pub(super) fn reply(self) -> Reply {
        let error = json!({
            "message": self.message,
            "type": "invalid_request_error",
            "param": self.param,
            "code": self.code,
        });
        json(self.status, &json!({ "error": error }))
    }
}

/// How a request says its connection was keyed; null for one that came around the sidecar.
pub(super) fn evidence<B>(request: &Request<B>) -> Option<String> {
    let value = request.headers().get(EVIDENCE)?;
    value.to_str().ok().map(str::to_owned)
}

pub(super) fn json(status: StatusCode, value: &Value) -> Reply {
    let mut reply = typed("application/json", whole(value.to_string()));
    *reply.status_mut() = status;
    reply
}

pub(super) fn typed(content_type: &'static str, payload: Payload) -> Reply {
    let mut reply = Response::new(payload);
    let content_type = HeaderValue::from_static(content_type);
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
}

pub(super) fn whole(content: impl Into<Bytes>) -> Payload {
    streamed(Full::new(content.into()))
}

/// A body that cannot fail.
pub(super) fn streamed<B>(body: B) -> Payload
where
    B: Body<Data = Bytes, Error = std::convert::Infallible> + Send + 'static,
{
    body.map_err(|never| match never {}).boxed_unsync()
}

/// Reads the body as JSON.
pub(super) async fn read_json<T: DeserializeOwned>(body: Incoming) -> Result<T, Refusal> {
    let collected = Limited::new(body, MAX_JSON).collect().await;
    let bytes = collected.map_err(|error| {
        if error.is::<LengthLimitError>() {
            let message = format!("the body is larger than {MAX_JSON} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
        } else {
            Refusal::bad("the body broke off")
        }
    })?;
    serde_json::from_slice(&bytes.to_bytes())
        .map_err(|error| Refusal::bad(format!("cannot read the body as a request: {error}")))
}

/// Unix time in seconds.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
