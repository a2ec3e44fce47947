//! AdmissionReview v1 in, AdmissionReview v1 out. No HTTP here.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::inject::plan::Decision;
use crate::inject::plan::Deny;
use crate::inject::plan::Settings;
use crate::inject::plan::{Plan, plan_in};
use crate::json;
use crate::redact::Shown;

const API_VERSION: &str = "admission.k8s.io/v1";
/// The API server cuts longer warnings.
const LONGEST_WARNING: usize = 256;

/// The response repeats it.
const LONGEST_UID: usize = 256;

/// What became of one review: the two labels of the metric.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) result: &'static str,
    pub(crate) reason: &'static str,
}

impl Outcome {
    pub(crate) const fn new(result: &'static str, reason: &'static str) -> Self {
        Self { result, reason }
    }
}

const INJECTED: Outcome = Outcome::new("injected", "none");
const UNCHANGED: Outcome = Outcome::new("unchanged", "none");
const UNLABELLED: Outcome = Outcome::new("skipped", "labels");
const NO_POD: Outcome = Outcome::new("skipped", "other_request");
/// Every outcome of a review that is allowed.
pub(crate) const ALLOWED: [Outcome; 4] = [INJECTED, UNCHANGED, UNLABELLED, NO_POD];

/// A body that is no AdmissionReview of this version.
#[derive(Debug, Error)]
pub(crate) enum BadReview {
    #[error("the body is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error(
        "apiVersion is {0:?}, kind {1:?}; this webhook speaks only {API_VERSION} AdmissionReview"
    )]
    Version(Shown, Shown),
    #[error("request.uid is missing")]
    Uid,
    #[error(
        "request.uid has {0} bytes; the API server's have 36, and more than {LONGEST_UID} are refused"
    )]
    LongUid(usize),
}

/// The response to a review; the error is for bodies that are no review.
pub(crate) fn review(
    body: &[u8],
    decision: Decision,
    settings: &Settings,
) -> Result<(Value, Outcome), BadReview> {
    let review = json::read(body)?;
    let text = |key: &str| review.get(key).and_then(Value::as_str).unwrap_or_default();
    if text("apiVersion") != API_VERSION || text("kind") != "AdmissionReview" {
        return Err(BadReview::Version(
            text("apiVersion").into(),
            text("kind").into(),
        ));
    }
    let request = review.get("request").unwrap_or(&Value::Null);
    let uid = request
        .get("uid")
        .and_then(Value::as_str)
        .filter(|uid| !uid.is_empty())
        .ok_or(BadReview::Uid)?;
    if uid.len() > LONGEST_UID {
        return Err(BadReview::LongUid(uid.len()));
    }
    let (mut response, outcome) = if is_new_pod(request) {
        let pod = request.get("object").unwrap_or(&Value::Null);
        let namespace = request.get("namespace").and_then(Value::as_str);
        respond(plan_in(namespace, pod, decision, settings))
    } else {
        (allowed(), NO_POD)
    };
    response.insert("uid".into(), json!(uid));
    response.insert("auditAnnotations".into(), audit(outcome));
    let review =
        json!({"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response});
    Ok((review, outcome))
}

fn is_new_pod(request: &Value) -> bool {
    let part = |outer: &str, key: &str| {
        request
            .get(outer)
            .and_then(|o| o.get(key))
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let create = request.get("operation").and_then(Value::as_str) == Some("CREATE");
    let whole = request
        .get("subResource")
        .and_then(Value::as_str)
        .is_none_or(str::is_empty);
    create && whole && part("kind", "group").is_empty() && part("kind", "kind") == "Pod"
}

fn allowed() -> Map<String, Value> {
    Map::from_iter([("allowed".to_owned(), json!(true))])
}

fn respond(plan: Result<Plan, Deny>) -> (Map<String, Value>, Outcome) {
    let plan = match plan {
        Ok(plan) => plan,
        Err(deny) => return (denied(&deny), Outcome::new("denied", deny.reason())),
    };
    let mut response = allowed();
    if !plan.warnings.is_empty() {
        let warnings: Vec<String> = plan.warnings.iter().map(|w| shorten(w)).collect();
        response.insert("warnings".into(), json!(warnings));
    }
    if !plan.injected {
        return (response, UNLABELLED);
    }
    if plan.ops.is_empty() {
        return (response, UNCHANGED);
    }
    let patch = serde_json::to_vec(&plan.ops).unwrap_or_default();
    response.insert("patchType".into(), json!("JSONPatch"));
    response.insert("patch".into(), json!(BASE64_STANDARD.encode(patch)));
    (response, INJECTED)
}

fn denied(deny: &Deny) -> Map<String, Value> {
    Map::from_iter([
        ("allowed".to_owned(), json!(false)),
        (
            "status".to_owned(),
            json!({"status": "Failure", "code": 403, "reason": "Forbidden", "message": format!("hybridge: {deny}")}),
        ),
    ])
}

fn audit(outcome: Outcome) -> Value {
    json!({"result": outcome.result, "reason": outcome.reason})
}

fn shorten(warning: &str) -> String {
    if warning.chars().count() <= LONGEST_WARNING {
        return warning.to_owned();
    }
    warning
        .chars()
        .take(LONGEST_WARNING - 3)
        .chain("...".chars())
        .collect()
}
