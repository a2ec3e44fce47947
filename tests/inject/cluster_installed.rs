//! `inject check` after an installation: what is there, agrees, and protects.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use hybridge::certgen::{self, Algorithm, Request};
use hybridge::inject::cluster::{check, status};
use serde_json::{Value, json};

use crate::cluster::{namespace, placed, run};
use crate::support::pod;

/// A CA in base64, as an installation has it.
fn bundle() -> String {
    let made = certgen::generate(&Request {
        names: vec!["localhost".parse().unwrap()],
        algorithm: Algorithm::EcdsaP256,
        days: 1,
    });
    BASE64_STANDARD.encode(made.unwrap().ca_cert)
}

/// What the overlay installs.
fn installation(image: &str) -> Vec<Value> {
    let bundle = bundle();
    let rule = |operations: Value| json!([{"operations": operations, "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "scope": "Namespaced"}]);
    let hook = |name: &str| json!({"name": format!("{name}.hybridge.dev"), "failurePolicy": "Fail", "clientConfig": {"caBundle": bundle}, "rules": rule(json!(["CREATE"]))});
    let policy = |name: &str, variables: Value| {
        json!({"kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": {
        "failurePolicy": "Fail", "matchConstraints": {"resourceRules": rule(json!(["CREATE"]))}, "validations": [{"expression": "true"}], "variables": variables}})
    };
    let binding = |name: &str| json!({"kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}});
    let variables = json!([{"name": "image", "expression": format!("'{image}'")}]);
    vec![
        json!({"kind": "MutatingWebhookConfiguration", "metadata": {"name": "hybridge-injector"},
               "webhooks": [hook("namespace"), hook("object"), hook("enforced"), hook("named")]}),
        json!({"kind": "Deployment", "metadata": {"name": "hybridge-injector", "namespace": "hybridge-system"}, "status": {"availableReplicas": 2},
               "spec": {"template": {"spec": {"containers": [{"name": "injector", "image": image, "env": [{"name": "HYBRIDGE_IMAGE", "value": image}]}]}}}}),
        policy("hybridge-sidecar", variables.clone()),
        policy("hybridge-running", variables),
        policy("hybridge-namespace-label", json!([])),
        binding("hybridge-sidecar"),
        binding("hybridge-running"),
        binding("hybridge-namespace-label"),
    ]
}

#[test]
fn check_after_an_installation_sees_what_does_not_agree() {
    let mut objects = installation("registry.example/hybridge:1");
    let (text, good) = run(check, &objects);
    assert!(good, "{text}");
    objects[0]["webhooks"][1] = json!({"name": "other.hybridge.dev"});
    objects[2]["spec"]["variables"][0]["expression"] = json!("'other:1'");
    objects.remove(6);
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

/// Each of these is there, and no pod is refused by it.
#[test]
fn check_fails_for_what_is_there_and_protects_nothing() {
    let ended = concat!("/webhooks/2/clientConfig/", "caBundle");
    for (object, pointer, value, said) in [
        (
            0,
            "/webhooks/0/rules",
            json!([]),
            "a rule for the creation of pods: namespace.hybridge.dev: ",
        ),
        (
            0,
            "/webhooks/1/rules/0/operations",
            json!(["UPDATE"]),
            "a rule for the creation of pods: object.hybridge.dev: ",
        ),
        (
            0,
            "/webhooks/1/failurePolicy",
            json!("Ignore"),
            "every entry fails closed",
        ),
        (
            0,
            ended,
            json!("Cg=="),
            "entry enforced.hybridge.dev has a caBundle that is no certificate",
        ),
        (
            0,
            ended,
            json!("soon"),
            "entry enforced.hybridge.dev has a caBundle that is no certificate",
        ),
        (
            2,
            "/spec/failurePolicy",
            json!("Ignore"),
            "policy hybridge-sidecar is there, bound and denies: its failurePolicy is not Fail",
        ),
        (
            3,
            "/spec/matchConstraints/resourceRules",
            json!([]),
            "its matchConstraints have no resourceRules",
        ),
        (4, "/spec/validations", json!([]), "it has no validations"),
        (
            5,
            "/spec/validationActions",
            json!(["Warn", "Audit"]),
            "the validationActions of its binding hybridge-sidecar have no Deny",
        ),
        (
            7,
            "/spec/policyName",
            json!("other"),
            "policy hybridge-namespace-label is there, bound and denies: no binding names it",
        ),
    ] {
        let mut objects = installation("registry.example/hybridge:1");
        *objects[object].pointer_mut(pointer).unwrap() = value;
        let (text, good) = run(check, &objects);
        let failed: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("FAIL"))
            .collect();
        assert!(
            !good && failed.len() == 1 && failed[0].contains(said),
            "{said}: {text}"
        );
    }
}

/// As the chart writes it for a release in another namespace, with `enforcedNamespaces`.
#[test]
fn the_webhook_configuration_says_where_the_injector_is_and_what_it_sees() {
    let mut objects = installation("registry.example/hybridge:1");
    let outside = json!(["kube-system", "kube-public", "kube-node-lease", "pq"]);
    for (index, path) in ["namespace", "object", "enforced", "enforced"]
        .iter()
        .enumerate()
    {
        let by_name = match index {
            3 => json!({"operator": "In", "values": ["bank"]}),
            _ => json!({"operator": "NotIn", "values": outside}),
        };
        let hook = &mut objects[0]["webhooks"][index];
        hook["clientConfig"]["service"] = json!({"name": "hybridge-injector", "namespace": "pq", "path": format!("/inject/{path}")});
        hook["namespaceSelector"] = json!({"matchExpressions": [by_name]});
        hook["namespaceSelector"]["matchExpressions"][0]["key"] =
            json!("kubernetes.io/metadata.name");
    }
    // A namesake in another namespace is not the injector.
    let (text, good) = run(check, &objects);
    assert!(
        !good && text.contains("FAIL  0 replicas of the injector available"),
        "{text}"
    );
    assert!(text.contains("kubectl -n pq get pods"), "{text}");
    let mut real = objects[1].clone();
    real["metadata"]["namespace"] = json!("pq");
    objects.insert(2, real);
    assert!(run(check, &objects).1);

    objects.extend(["bank", "pq", "hybridge-system"].map(|name| namespace(name, Some("disabled"))));
    let plain = pod("unknown-server");
    objects.push(placed(plain.clone(), "bank", "a"));
    let (text, good) = run(status, &objects);
    assert!(!good && text.contains("missing    bank/a"), "{text}");
    let (text, good) = run(check, &objects);
    assert!(!good && text.contains("in bank would be refused"), "{text}");
    objects.pop();
    objects.push(placed(plain, "pq", "a"));
    assert!(run(status, &objects).1);
}

/// What one entry leaves out another may see.
#[test]
fn a_namespace_is_never_seen_only_where_every_entry_leaves_it_out() {
    let mut objects = installation("registry.example/hybridge:1");
    objects.push(namespace("lab", Some("enforced")));
    objects.push(placed(pod("unknown-server"), "lab", "a"));
    let hooks = objects[0]["webhooks"].as_array().unwrap().len();
    assert!(hooks > 1, "{hooks}");
    for (leaving_out, is_seen) in [(1, true), (hooks, false)] {
        let hooks = objects[0]["webhooks"].as_array_mut().unwrap();
        for (index, hook) in hooks.iter_mut().enumerate() {
            let name = if index < leaving_out {
                "lab"
            } else {
                "kube-system"
            };
            hook["namespaceSelector"] = json!({"matchExpressions": [
                {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [name]}
            ]});
        }
        let (text, _) = run(status, &objects);
        assert_eq!(text.contains("missing    lab/a"), is_seen, "{text}");
    }
}
