//! The HTTP side of the webhook as a pure function: method, path, headers and body in, response out.
//! Sockets and TLS are in `accept`, time limits in `connection`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use serde_json::Value;
use strum::VariantNames;

use super::review::{self, ALLOWED, BadReview, Outcome};
use super::values::MOST_VALUES;
use crate::inject::plan::Decision;
use crate::inject::plan::Settings;
use crate::inject::plan::deny::Reason;
use crate::metrics::{Injections, Metrics};
use crate::redact::scrub;

/// Largest body that is read, in bytes; the API server's own limit for an object is about 3 MiB.
pub const BODY_LIMIT: usize = 4 << 20;
/// Path for namespaces that ask for injection.
pub const NAMESPACE_PATH: &str = "/inject/namespace";
/// Path for pods that ask for it themselves.
pub const OBJECT_PATH: &str = "/inject/object";

/// Path for namespaces whose pods may not opt out.
pub const ENFORCED_PATH: &str = "/inject/enforced";

/// Why a request was refused; the response of one carries it.
#[derive(Clone, Copy)]
pub(super) struct Refused(pub(super) &'static str);

/// The webhook: settings and the counter.
#[derive(Clone, Debug)]
pub struct Webhook {
    settings: Settings,
    injections: Injections,
}

/// Reviews one body, as `review::review` does; a parameter so that a test can make it panic.
type Review = fn(&[u8], Decision, &Settings) -> Result<(Value, Outcome), BadReview>;

impl Webhook {
    /// A webhook that plans with `settings`; an error means that `metrics` counts for another one already.
    pub fn new(settings: Settings, metrics: &Metrics) -> Result<Self, prometheus::Error> {
        Ok(Self {
            settings,
            injections: metrics.injections(&outcomes())?,
        })
    }

    /// The response to one request whose body has been read.
    pub fn respond(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Response<Bytes> {
        self.respond_with(review::review, method, path, headers, body)
    }

    fn respond_with(
        &self,
        review: Review,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Response<Bytes> {
        let decision = match check(method, path, headers, body.len()) {
            Ok(decision) => decision,
            Err(refusal) => return self.refuse(&refusal),
        };
        match catch_unwind(AssertUnwindSafe(|| review(body, decision, &self.settings))) {
            Ok(Ok((review, outcome))) => {
                self.injections.count(outcome.result, outcome.reason);
                tracing::debug!(
                    result = outcome.result,
                    reason = outcome.reason,
                    "reviewed a pod"
                );
                json(&review)
            }
            Ok(Err(bad)) => self.refuse(&Refusal {
                status: StatusCode::BAD_REQUEST,
                reason: "bad_review",
                message: bad.to_string(),
            }),
            Err(_) => self.failed(),
        }
    }

    /// The response to a pod whose plan ended by a panic.
    pub(crate) fn failed(&self) -> Response<Bytes> {
        self.injections.panicked();
        self.refuse(&Refusal {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            reason: "panic",
            message: "the planner failed on this pod; its log says where".into(),
        })
    }

    /// The response to a request that cannot be reviewed; counts it.
    pub(crate) fn refuse(&self, refusal: &Refusal) -> Response<Bytes> {
        self.injections.count("error", refusal.reason);
        let mut response = Response::new(Bytes::from(format!("{}\n", scrub(&refusal.message))));
        *response.status_mut() = refusal.status;
        response.extensions_mut().insert(Refused(refusal.reason));
        if refusal.status == StatusCode::METHOD_NOT_ALLOWED {
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

/// Why a request is not reviewed.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn bad_head(is_large: bool) -> Self {
        let (status, message) = if is_large {
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            (status, "the head is too large: 8 KiB are allowed")
        } else {
            (StatusCode::BAD_REQUEST, "the head is malformed")
        };
        Self {
            status,
            reason: "bad_head",
            message: message.into(),
        }
    }

    pub(crate) fn body_too_large() -> Self {
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            reason: "body_too_large",
            message: format!("the body is larger than {BODY_LIMIT} bytes"),
        }
    }

    pub(crate) fn too_many_values() -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            reason: "bad_review",
            message: format!(
                "the review has more than {MOST_VALUES} values, more than any pod needs; make its lists and maps shorter"
            ),
        }
    }

    pub(crate) fn slow_body() -> Self {
        Self {
            status: StatusCode::REQUEST_TIMEOUT,
            reason: "slow_body",
            message: "the body did not arrive in time".into(),
        }
    }
}

/// Every reason of a `Refusal`.
const ERRORS: [&str; 10] = [
    "bad_head",
    "bad_review",
    "body_too_large",
    "broken_body",
    "budget",
    "content_type",
    "method",
    "panic",
    "path",
    "slow_body",
];

/// Every pair of labels that a review can end with.
fn outcomes() -> Vec<(&'static str, &'static str)> {
    let allowed = ALLOWED
        .iter()
        .map(|outcome| (outcome.result, outcome.reason));
    let denied = Reason::VARIANTS.iter().map(|reason| ("denied", *reason));
    let errors = ERRORS.iter().map(|reason| ("error", *reason));
    allowed.chain(denied).chain(errors).collect()
}

fn check(
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    length: usize,
) -> Result<Decision, Refusal> {
    let refusal = |status, reason, message: &str| Refusal {
        status,
        reason,
        message: message.to_owned(),
    };
    let decision = match path {
        NAMESPACE_PATH => Decision::Namespace,
        OBJECT_PATH => Decision::Object,
        ENFORCED_PATH => Decision::Enforced,
        _ => {
            return Err(refusal(
                StatusCode::NOT_FOUND,
                "path",
                "paths are /inject/namespace, /inject/object and /inject/enforced",
            ));
        }
    };
    if method != Method::POST {
        return Err(refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            "method",
            "use POST",
        ));
    }
    let media = headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        return Err(refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content_type",
            "content-type must be application/json",
        ));
    }
    if length > BODY_LIMIT {
        return Err(Refusal::body_too_large());
    }
    Ok(decision)
}

fn json(value: &Value) -> Response<Bytes> {
    // Without what the text has reserved: it is held until the client has taken it.
    let text = value.to_string().into_bytes().into_boxed_slice();
    let mut response = Response::new(Bytes::from(text));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_the_planner_becomes_a_500() {
        let metrics = Metrics::new().unwrap();
        let webhook = Webhook::new(Settings::default(), &metrics).unwrap();
        let headers =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let response = webhook.respond_with(
            |_, _, _| panic!("planted"),
            &Method::POST,
            OBJECT_PATH,
            &headers,
            b"{}",
        );
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let page = String::from_utf8(metrics.render().unwrap()).unwrap();
        for counted in [
            "{reason=\"panic\",result=\"error\"} 1\n",
            "hybridge_panics_total{task=\"stream\"} 1\n",
        ] {
            assert!(page.contains(counted), "{page}");
        }
    }
}
