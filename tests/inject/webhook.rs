//! The webhook's HTTP side as a function: reviews of a real API server, refusals, limits (hard cases 15, 23, 25).

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use hybridge::inject::{
    BODY_LIMIT, Decision, NAMESPACE_PATH, OBJECT_PATH, Settings, Webhook, plan,
};
use hybridge::metrics::Metrics;
use serde_json::{Value, json};

use crate::support::{captured, vllm};

struct Fixture {
    webhook: Webhook,
    metrics: Metrics,
}

impl Fixture {
    fn new() -> Self {
        let metrics = Metrics::new().unwrap();
        Self {
            webhook: Webhook::new(Settings::default(), &metrics).unwrap(),
            metrics,
        }
    }

    fn post(&self, path: &str, body: &[u8]) -> http::Response<bytes::Bytes> {
        self.webhook
            .respond(&Method::POST, path, &json_headers(), body)
    }

    fn review(&self, path: &str, review: &Value) -> Value {
        let response = self.post(path, review.to_string().as_bytes());
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "application/json");
        let answer: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(
            (&answer["apiVersion"], &answer["kind"]),
            (&json!("admission.k8s.io/v1"), &json!("AdmissionReview"))
        );
        assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
        answer["response"].clone()
    }

    fn metrics(&self) -> String {
        String::from_utf8(self.metrics.render().unwrap()).unwrap()
    }
}

fn json_headers() -> HeaderMap {
    HeaderMap::from_iter([(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )])
}

fn review_of(pod: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {"uid": "u-1", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE", "namespace": "ai", "object": pod},
    })
}

fn patch_of(response: &Value) -> Option<json_patch::Patch> {
    let bytes = BASE64_STANDARD
        .decode(response.get("patch")?.as_str()?)
        .unwrap();
    Some(serde_json::from_slice(&bytes).unwrap())
}

#[test]
fn captured_reviews_are_answered_as_the_planner_plans() {
    let fixture = Fixture::new();
    let mut patched = 0;
    for (name, review) in captured() {
        let response = fixture.review(OBJECT_PATH, &review);
        let pod = &review["request"]["object"];
        match plan(pod, Decision::Object, &Settings::default()) {
            Ok(plan) => {
                assert_eq!(response["allowed"], true, "{name}");
                assert_eq!(response["patchType"], "JSONPatch");
                let mut object = pod.clone();
                json_patch::patch(&mut object, &patch_of(&response).unwrap()).unwrap();
                assert_eq!(&object, plan.patched());
                patched += 1;
            }
            Err(deny) => {
                assert_eq!(response["allowed"], false, "{name}");
                assert_eq!(response["status"]["message"], format!("hybridge: {deny}"));
                assert_eq!(response.get("patch"), None);
            }
        }
    }
    // The Job's server is not known; two pods are refused for what they are.
    assert_eq!(patched, 4);
}

#[test]
fn patch_and_patch_type_come_together_or_not_at_all() {
    let fixture = Fixture::new();
    let once = fixture.review(NAMESPACE_PATH, &review_of(&vllm()));
    assert!(once.get("patch").is_some() && once.get("patchType").is_some());
    let mut pod = vllm();
    json_patch::patch(&mut pod, &patch_of(&once).unwrap()).unwrap();
    for (path, pod) in [(NAMESPACE_PATH, pod), (OBJECT_PATH, vllm())] {
        let response = fixture.review(path, &review_of(&pod));
        assert_eq!(response["allowed"], true);
        assert!(
            response.get("patch").is_none() && response.get("patchType").is_none(),
            "{response}"
        );
    }
}

#[test]
fn dry_runs_and_nameless_pods_are_answered_alike() {
    let fixture = Fixture::new();
    let mut pod = vllm();
    pod["metadata"] = json!({"generateName": "llama-"});
    let mut review = review_of(&pod);
    let answer = fixture.review(NAMESPACE_PATH, &review);
    review["request"]["dryRun"] = json!(true);
    assert_eq!(fixture.review(NAMESPACE_PATH, &review), answer);
}

#[test]
fn requests_that_are_no_new_pod_are_allowed_untouched() {
    let fixture = Fixture::new();
    for (key, value) in [
        ("operation", json!("UPDATE")),
        (
            "kind",
            json!({"group": "apps", "version": "v1", "kind": "Deployment"}),
        ),
        ("subResource", json!("ephemeralcontainers")),
    ] {
        let mut review = review_of(&vllm());
        review["request"][key] = value;
        let response = fixture.review(NAMESPACE_PATH, &review);
        assert_eq!(
            (&response["allowed"], response.get("patch")),
            (&json!(true), None)
        );
    }
}

#[test]
fn a_pod_that_is_none_is_denied_in_a_review() {
    let fixture = Fixture::new();
    for pod in [json!(null), json!("pod"), json!({"spec": 1})] {
        let response = fixture.review(NAMESPACE_PATH, &review_of(&pod));
        assert_eq!(
            (
                &response["allowed"],
                &response["auditAnnotations"]["reason"]
            ),
            (&json!(false), &json!("malformed"))
        );
    }
}

#[test]
fn what_is_no_review_gets_an_http_error_that_says_why() {
    let fixture = Fixture::new();
    let mut old = review_of(&vllm());
    old["apiVersion"] = json!("admission.k8s.io/v1beta1");
    let mut anonymous = review_of(&vllm());
    anonymous["request"]["uid"] = json!("");
    for body in [
        b"not json".to_vec(),
        b"{}".to_vec(),
        b"\xff\xfe".to_vec(),
        old.to_string().into_bytes(),
        anonymous.to_string().into_bytes(),
    ] {
        let response = fixture.post(OBJECT_PATH, &body);
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert!(response.body().len() > 10);
    }
    assert_eq!(
        fixture.post("/inject", b"{}").status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        fixture
            .webhook
            .respond(&Method::GET, OBJECT_PATH, &json_headers(), b"")
            .status(),
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert_eq!(
        fixture
            .webhook
            .respond(&Method::POST, OBJECT_PATH, &HeaderMap::new(), b"{}")
            .status(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    assert_eq!(
        fixture
            .post(OBJECT_PATH, &vec![b' '; BODY_LIMIT + 1])
            .status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

/// What a stranger wrote is not repeated at any length.
#[test]
fn what_is_no_review_gets_a_short_error() {
    let fixture = Fixture::new();
    let long = "a".repeat(100_000);
    let mut uid = review_of(&vllm());
    uid["request"]["uid"] = json!(long);
    uid["request"]["operation"] = json!("UPDATE");
    let version = json!({"apiVersion": long, "kind": long});
    for (review, said) in [
        (uid, "request.uid has 100000 bytes"),
        (version, "speaks only admission.k8s.io/v1"),
    ] {
        let response = fixture.post(OBJECT_PATH, review.to_string().as_bytes());
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let text = String::from_utf8_lossy(response.body());
        assert!(text.contains(said) && text.len() < 500, "{text}");
    }
    let mut longest = review_of(&vllm());
    longest["request"]["uid"] = json!("a".repeat(256));
    fixture.review(OBJECT_PATH, &longest);
}

#[test]
fn a_pod_of_nearly_four_mebibytes_is_answered() {
    let mut pod = vllm();
    pod["metadata"]["annotations"] = json!({"big": "x".repeat(BODY_LIMIT - 4096)});
    let response = Fixture::new().review(NAMESPACE_PATH, &review_of(&pod));
    assert_eq!(response["allowed"], true);
}

#[test]
fn warnings_fit_into_what_the_api_server_passes_on() {
    let mut pod = vllm();
    let name = "n".repeat(63);
    pod["spec"]["containers"][0] =
        json!({"name": name, "image": "vllm/vllm-openai:v1", "ports": [{"containerPort": 80}]});
    pod["spec"]["terminationGracePeriodSeconds"] = json!(1);
    let response = Fixture::new().review(NAMESPACE_PATH, &review_of(&pod));
    let warnings = response["warnings"].as_array().unwrap();
    assert!(warnings.len() >= 3);
    assert!(
        warnings
            .iter()
            .all(|w| w.as_str().unwrap().chars().count() <= 256)
    );
}

#[test]
fn reviews_are_counted_by_result_and_reason() {
    let fixture = Fixture::new();
    let series = |text: &str| text.matches("\nhybridge_injections_total{").count();
    let at_first = series(&fixture.metrics());
    assert!(at_first > 30, "{at_first}");
    fixture.review(NAMESPACE_PATH, &review_of(&vllm()));
    fixture.review(OBJECT_PATH, &review_of(&vllm()));
    let mut host = vllm();
    host["spec"]["hostNetwork"] = json!(true);
    fixture.review(NAMESPACE_PATH, &review_of(&host));
    fixture.post(OBJECT_PATH, b"x");
    let text = fixture.metrics();
    for line in [
        "hybridge_injections_total{reason=\"none\",result=\"injected\"} 1",
        "hybridge_injections_total{reason=\"labels\",result=\"skipped\"} 1",
        "hybridge_injections_total{reason=\"host_network\",result=\"denied\"} 1",
        "hybridge_injections_total{reason=\"bad_review\",result=\"error\"} 1",
    ] {
        assert!(text.contains(line), "{line} not in\n{text}");
    }
    assert_eq!(
        series(&text),
        at_first,
        "a series that did not begin at zero"
    );
}

/// What a stranger writes costs one pass and a short response, however long it is.
#[test]
fn a_long_value_is_refused_in_a_short_message() {
    let fixture = Fixture::new();
    let ports: Vec<String> = (1024..5700).map(|port: u16| port.to_string()).collect();
    let declared: Vec<Value> = (1024..5700)
        .map(|port| json!({"containerPort": port}))
        .collect();
    let rules: Vec<String> = (0..7600).map(|n| format!("spiffe://a/b{n}")).collect();
    for (name, value, said) in [
        ("policy", "://".repeat(42_000), "…\\\"; use one of hybrid"),
        ("allow-uri", rules.join(","), "has no effect alone"),
        ("ports", ports.join(","), "has 4676 entries"),
        ("ports", "none-such".to_owned(), "and 4656 more"),
    ] {
        let mut pod = vllm();
        pod["spec"]["containers"][0]["ports"] = json!(declared);
        pod["metadata"]["annotations"] = json!({format!("hybridge.dev/{name}"): value});
        let response = fixture.review(NAMESPACE_PATH, &review_of(&pod));
        let message = response["status"]["message"].to_string();
        assert!(message.contains(said), "{message}");
        assert!(message.len() < 5_000, "{message}");
    }
}
