//! `inject check` after an installation: what is there, agrees, and protects.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use hybridge::certgen::{self, Algorithm, Request};
use hybridge::inject::cluster::check;
use hybridge::inject::read_yaml;
use serde_json::{Value, json};

use crate::cluster::{namespace, run};

/// A CA in base64, as an installation has it.
fn bundle() -> String {
    let made = certgen::generate(&Request {
        names: vec!["localhost".parse().unwrap()],
        algorithm: Algorithm::EcdsaP256,
        days: 1,
    });
    BASE64_STANDARD.encode(made.unwrap().ca_cert)
}

/// What the overlay installs: the manifests, with a CA and the status of the Deployment.
pub(crate) fn installation() -> Vec<Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/k8s/injector");
    let mut objects = Vec::new();
    for file in [
        "webhook",
        "deployment",
        "policy",
        "policy-running",
        "policy-namespace",
    ] {
        let text = std::fs::read_to_string(format!("{folder}/{file}.yaml")).unwrap();
        objects.extend(text.split("\n---\n").map(|one| read_yaml(one).unwrap()));
    }
    let bundle = json!(bundle());
    for hook in of(&mut objects, HOOKS)["webhooks"].as_array_mut().unwrap() {
        hook["clientConfig"]["caBundle"] = bundle.clone();
    }
    of(&mut objects, "Deployment/hybridge-injector")["status"] = json!({"availableReplicas": 2});
    objects
}

pub(crate) const HOOKS: &str = "MutatingWebhookConfiguration/hybridge-injector";
const POLICY: &str = "ValidatingAdmissionPolicy";
pub(crate) const BINDING: &str = "ValidatingAdmissionPolicyBinding";

pub(crate) fn place(objects: &[Value], title: &str) -> usize {
    let titled = |object: &Value| {
        let part = |pointer| object.pointer(pointer).and_then(Value::as_str);
        format!(
            "{}/{}",
            part("/kind").unwrap(),
            part("/metadata/name").unwrap()
        ) == title
    };
    objects
        .iter()
        .position(titled)
        .unwrap_or_else(|| panic!("{title}"))
}

pub(crate) fn of<'a>(objects: &'a mut [Value], title: &str) -> &'a mut Value {
    let place = place(objects, title);
    &mut objects[place]
}

/// The failures alone.
fn failures(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| line.starts_with("FAIL"))
        .collect()
}

#[test]
fn check_agrees_with_the_manifests_without_a_note() {
    let mut objects = installation();
    objects.push(namespace("web", None));
    let (text, good) = run(check, &objects);
    assert!(good, "{text}");
    let others = text.lines().filter(|line| !line.starts_with("ok  "));
    assert_eq!(
        others.collect::<Vec<_>>(),
        ["note  0 workloads are to be injected"]
    );
}

#[test]
fn check_after_an_installation_sees_what_does_not_agree() {
    let mut objects = installation();
    of(&mut objects, HOOKS)["webhooks"][1] = json!({"name": "other.hybridge.dev"});
    of(&mut objects, &format!("{POLICY}/hybridge-sidecar"))["spec"]["variables"][0]["expression"] =
        json!("'other:1'");
    objects.remove(place(&objects, &format!("{BINDING}/hybridge-running")));
    let (text, good) = run(check, &objects);
    assert!(!good);
    for failure in [
        "three entries",
        "caBundle",
        "one image",
        "policy hybridge-running is there, bound and denies: no binding names it",
    ] {
        let line = text.lines().find(|line| line.contains(failure)).unwrap();
        assert!(line.starts_with("FAIL"), "{line}");
    }
}

/// Changes one thing, which has to be the one failure.
fn fails_alone(object: &str, pointer: &str, value: Value, said: &str) {
    let mut objects = installation();
    set(of(&mut objects, object), pointer, value);
    let (text, good) = run(check, &objects);
    let failed = failures(&text);
    assert!(
        !good && failed.len() == 1 && failed[0].contains(said),
        "{said}: {text}"
    );
}

/// What no request meets.
fn never() -> Value {
    json!([{"name": "off", "expression": "false"}])
}

fn label(operator: &str) -> Value {
    json!({"matchExpressions": [{"key": "hybridge.dev/injection", "operator": operator}]})
}

fn only(operation: &str, resource: &str) -> Value {
    json!([{"operations": [operation], "apiGroups": ["", "apps"], "apiVersions": ["v1"], "resources": [resource]}])
}

/// Some pods are not injected by it.
#[test]
fn check_fails_for_an_entry_that_is_there_and_injects_nothing() {
    let ended = concat!("/webhooks/2/clientConfig/", "caBundle");
    for (pointer, value, said) in [
        (
            "/webhooks/0/rules",
            json!([]),
            "a rule for the creation of pods: namespace.hybridge.dev: ",
        ),
        (
            "/webhooks/1/rules/0/operations",
            json!(["UPDATE"]),
            "a rule for the creation of pods: object.hybridge.dev: ",
        ),
        (
            "/webhooks/1/failurePolicy",
            json!("Ignore"),
            "every entry fails closed",
        ),
        (
            ended,
            json!("Cg=="),
            "entry enforced.hybridge.dev has a caBundle that is no certificate",
        ),
        (
            ended,
            json!("soon"),
            "entry enforced.hybridge.dev has a caBundle that is no certificate",
        ),
        (
            "/webhooks/0/clientConfig/service/path",
            json!("/inject/object"),
            "entry namespace.hybridge.dev calls /inject/object and not /inject/namespace",
        ),
        (
            "/webhooks/1/clientConfig/service/name",
            json!("other"),
            "calls Service hybridge-system/other and not hybridge-system/hybridge-injector",
        ),
        (
            "/webhooks/2/clientConfig/service/namespace",
            json!("other"),
            "calls Service other/hybridge-injector and not",
        ),
        (
            "/webhooks/2/clientConfig/service/port",
            json!(8443),
            "entry enforced.hybridge.dev calls port 8443",
        ),
        (
            "/webhooks/0/matchConditions",
            never(),
            "entry namespace.hybridge.dev has matchCondition off, which is never met",
        ),
        (
            "/webhooks/1/namespaceSelector",
            label("Exists"),
            "has hybridge.dev/injection Exists in its namespaceSelector",
        ),
    ] {
        fails_alone(HOOKS, pointer, value, said);
    }
    let mut objects = installation();
    let config = &mut of(&mut objects, HOOKS)["webhooks"][0]["clientConfig"];
    config.as_object_mut().unwrap().remove("service");
    config["url"] = json!("https://127.0.0.1/inject/namespace");
    let (text, good) = run(check, &objects);
    assert!(
        !good && failures(&text)[0].contains("names no Service"),
        "{text}"
    );
}

/// Some pods are not refused by it.
#[test]
fn check_fails_for_a_policy_that_is_there_and_refuses_nothing() {
    for (policy, pointer, value, said) in [
        (
            "sidecar",
            "/spec/failurePolicy",
            json!("Ignore"),
            "policy hybridge-sidecar is there, bound and denies: its failurePolicy is not Fail",
        ),
        (
            "running",
            "/spec/matchConstraints/resourceRules",
            json!([]),
            "its matchConstraints have no resourceRules",
        ),
        (
            "sidecar",
            "/spec/matchConstraints/resourceRules",
            only("CREATE", "deployments"),
            "no resourceRule for CREATE of pods",
        ),
        (
            "sidecar",
            "/spec/matchConstraints/resourceRules",
            only("DELETE", "pods"),
            "no resourceRule for CREATE of pods",
        ),
        (
            "running",
            "/spec/matchConstraints/resourceRules",
            only("UPDATE", "pods"),
            "no resourceRule for UPDATE of pods/ephemeralcontainers",
        ),
        (
            "sidecar",
            "/spec/matchConstraints/excludeResourceRules",
            only("*", "*"),
            "excludeResourceRules for CREATE of pods",
        ),
        (
            "sidecar",
            "/spec/matchConditions",
            never(),
            "its matchCondition off is never met",
        ),
        (
            "namespace-label",
            "/spec/validations",
            json!([]),
            "it has no validations",
        ),
        (
            "unclear-namespace",
            "/metadata/name",
            json!("other"),
            "policy hybridge-unclear-namespace is there, bound and denies: it is not there",
        ),
    ] {
        let title = format!("{POLICY}/hybridge-{policy}");
        fails_alone(&title, pointer, value, said);
    }
}

#[test]
fn check_fails_for_a_binding_that_is_missing_or_binds_nothing() {
    for (binding, pointer, value, said) in [
        (
            "sidecar-namespace",
            "/spec/validationActions",
            json!(["Warn", "Audit"]),
            "its binding hybridge-sidecar-namespace has no Deny in its validationActions",
        ),
        (
            "sidecar-object",
            "/spec/matchResources/resourceRules",
            only("DELETE", "pods"),
            "its binding hybridge-sidecar-object has no resourceRule for CREATE of pods",
        ),
        (
            "sidecar-enforced",
            "/spec/matchResources/namespaceSelector",
            label("DoesNotExist"),
            "its binding hybridge-sidecar-enforced has hybridge.dev/injection DoesNotExist",
        ),
        (
            "sidecar-enforced",
            "/metadata/name",
            json!("other"),
            "its binding hybridge-sidecar-enforced is not there",
        ),
        (
            "namespace-label",
            "/spec/policyName",
            json!("other"),
            "policy hybridge-namespace-label is there, bound and denies: no binding names it",
        ),
    ] {
        let title = format!("{BINDING}/hybridge-{binding}");
        fails_alone(&title, pointer, value, said);
    }
}

fn set(object: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[key] = value;
}

/// What an operator may have meant is a note.
#[test]
fn check_notes_what_only_some_pods_reach() {
    let team = json!({"matchLabels": {"team": "a"}});
    let condition = json!([{"name": "mine", "expression": "request.userInfo.username != 'a'"}]);
    let of_policy = format!("{POLICY}/hybridge-sidecar");
    for (object, pointer, value, said) in [
        (
            HOOKS,
            "/webhooks/0/objectSelector",
            &team,
            "entry namespace.hybridge.dev is for some pods only, by the label team in its objectSelector",
        ),
        (
            HOOKS,
            "/webhooks/2/namespaceSelector",
            &team,
            "entry enforced.hybridge.dev is for some pods only, by the label team in its namespaceSelector",
        ),
        (
            HOOKS,
            "/webhooks/2/matchConditions",
            &condition,
            "entry enforced.hybridge.dev is for pods that meet its matchConditions only: mine",
        ),
        (
            &of_policy,
            "/spec/matchConstraints/objectSelector",
            &team,
            "policy hybridge-sidecar is for some objects only, by the label team in its objectSelector",
        ),
        (
            &of_policy,
            "/spec/matchConditions",
            &condition,
            "policy hybridge-sidecar is for requests that meet its matchConditions only: mine",
        ),
        (
            &format!("{BINDING}/hybridge-sidecar-object"),
            "/spec/matchResources/objectSelector",
            &team,
            "its binding hybridge-sidecar-object is for some pods only, by the label team",
        ),
    ] {
        let mut objects = installation();
        set(of(&mut objects, object), pointer, value.clone());
        let (text, good) = run(check, &objects);
        let said = |line: &str| line.starts_with("note") && line.contains(said);
        assert!(good && text.lines().any(said), "{pointer}: {text}");
    }
}
