//! Whether what is installed can refuse a pod: an entry of the webhook that no pod reaches, or a policy whose
//! bindings only warn, is there and protects nothing.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use time::OffsetDateTime;

use super::objects::{Cluster, name};
use crate::certgen::webhook::entries;
use crate::inject::plan::NAMESPACE_LABEL;
use crate::inject::plan::pod;

/// What is wrong with the `caBundle` of an entry.
pub(super) fn bundle_fault(hook: &Value, now: OffsetDateTime) -> Option<&'static str> {
    let bundle = hook.pointer("/clientConfig/caBundle");
    let bundle = bundle.and_then(Value::as_str).unwrap_or_default();
    if bundle.is_empty() {
        return Some("has no caBundle");
    }
    let pem = BASE64_STANDARD.decode(bundle.trim_ascii()).ok();
    let pem = pem.and_then(|pem| String::from_utf8(pem).ok());
    match pem.as_deref().and_then(|pem| entries(pem).ok()) {
        None => Some("has a caBundle that is no certificate in PEM, in base64"),
        Some(all) if all.iter().all(|entry| entry.ends <= now) => {
            Some("has a caBundle whose certificates have all ended")
        }
        Some(_) => None,
    }
}

/// Whether an entry is called when a pod is created.
pub(super) fn sees_new_pods(hook: &Value) -> bool {
    pod::array(hook, "rules").iter().any(|rule| {
        let has = |key: &str, wanted: &[&str]| {
            let mut listed = pod::array(rule, key).iter().filter_map(Value::as_str);
            listed.any(|value| wanted.contains(&value))
        };
        has("operations", &["CREATE", "*"])
            && has("apiGroups", &["", "*"])
            && has("apiVersions", &["v1", "*"])
            && has("resources", &["pods", "*", "*/*"])
            && !matches!(pod::string(rule, "scope"), Some("Cluster"))
    })
}

/// What keeps a policy from refusing anything.
pub(super) fn policy_fault(cluster: &Cluster, policy: &str) -> Option<String> {
    let Some(object) = cluster.named("ValidatingAdmissionPolicy", policy) else {
        return Some("it is not there".to_owned());
    };
    let spec = object.get("spec").unwrap_or(&Value::Null);
    // Fail is the default (admissionregistration.k8s.io/v1).
    if pod::string(spec, "failurePolicy").is_some_and(|what| what != "Fail") {
        return Some("its failurePolicy is not Fail".to_owned());
    }
    let matched = spec.get("matchConstraints").unwrap_or(&Value::Null);
    if pod::array(matched, "resourceRules").is_empty() {
        return Some("its matchConstraints have no resourceRules".to_owned());
    }
    if pod::array(spec, "validations").is_empty() {
        return Some("it has no validations".to_owned());
    }
    let bound = |binding: &&Value| {
        binding.pointer("/spec/policyName").and_then(Value::as_str) == Some(policy)
    };
    let denies = |binding: &&Value| {
        let spec = binding.get("spec").unwrap_or(&Value::Null);
        let mut actions = pod::array(spec, "validationActions").iter();
        actions.any(|action| action.as_str() == Some("Deny"))
    };
    let mut bindings = cluster
        .of_kind("ValidatingAdmissionPolicyBinding")
        .filter(bound);
    let mut any = false;
    let lenient = bindings.find(|binding| {
        any = true;
        !denies(binding)
    });
    match lenient {
        Some(binding) => Some(format!(
            "the validationActions of its binding {} have no Deny",
            name(binding)
        )),
        None if !any => Some("no binding names it".to_owned()),
        None => None,
    }
}

/// Labels that the selectors of our own bindings look at.
const OWN_LABELS: [&str; 3] = [
    NAMESPACE_LABEL,
    "hybridge.dev/inject",
    "kubernetes.io/metadata.name",
];

/// Bindings of a policy whose selectors leave out what ours do not. The operator may have meant it.
pub(super) fn narrowed(cluster: &Cluster, policy: &str) -> Vec<String> {
    let bindings = cluster
        .of_kind("ValidatingAdmissionPolicyBinding")
        .filter(|binding| {
            binding.pointer("/spec/policyName").and_then(Value::as_str) == Some(policy)
        });
    bindings
        .filter_map(|binding| {
            let matched = binding.pointer("/spec/matchResources")?;
            let by = narrower(matched)?;
            Some(format!(
                "policy {policy}: its binding {} is for some pods only, by {by}",
                name(binding)
            ))
        })
        .collect()
}

fn narrower(matched: &Value) -> Option<String> {
    if !pod::array(matched, "excludeResourceRules").is_empty() {
        return Some("excludeResourceRules".to_owned());
    }
    for selector in ["namespaceSelector", "objectSelector"] {
        let selects = matched.get(selector).unwrap_or(&Value::Null);
        let labels = selects.get("matchLabels").and_then(Value::as_object);
        let labels = labels.into_iter().flat_map(|labels| labels.keys());
        let keys = pod::array(selects, "matchExpressions").iter();
        let keys = keys.filter_map(|expression| pod::string(expression, "key"));
        let mut all = labels.map(String::as_str).chain(keys);
        if let Some(key) = all.find(|key| !OWN_LABELS.contains(key)) {
            return Some(format!("the label {key} in its {selector}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::certgen::webhook::pair;

    #[test]
    fn a_rule_is_for_the_creation_of_pods_or_for_nothing() {
        let rule = json!({"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "scope": "Namespaced"});
        let seen = |rules: Value| sees_new_pods(&json!({"rules": rules}));
        assert!(seen(json!([rule])));
        assert!(seen(
            json!([{}, {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}])
        ));
        assert!(!seen(json!([])));
        for (key, other) in [
            ("operations", json!(["UPDATE"])),
            ("apiGroups", json!(["apps"])),
            ("apiVersions", json!(["v2"])),
            ("resources", json!(["pods/status"])),
            ("scope", json!("Cluster")),
        ] {
            let mut rule = rule.clone();
            rule[key] = other;
            assert!(!seen(json!([rule])), "{rule}");
        }
    }

    #[test]
    fn a_binding_for_some_pods_only_is_seen_by_its_labels() {
        let of = |matched: Value| narrower(&matched);
        assert_eq!(of(json!({})), None);
        let own = json!({"matchExpressions": [
            {"key": "hybridge.dev/injection", "operator": "NotIn", "values": ["disabled"]},
            {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]},
        ]});
        assert_eq!(of(json!({"namespaceSelector": own})), None);
        for (matched, by) in [
            (
                json!({"excludeResourceRules": [{}]}),
                "excludeResourceRules",
            ),
            (
                json!({"namespaceSelector": {"matchLabels": {"team": "a"}}}),
                "the label team in its namespaceSelector",
            ),
            (
                json!({"objectSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}),
                "the label app in its objectSelector",
            ),
        ] {
            assert_eq!(of(matched).as_deref(), Some(by));
        }
    }

    #[test]
    fn a_bundle_is_a_certificate_that_has_not_ended() {
        let now = OffsetDateTime::now_utc();
        let pair = pair("a.b.svc".parse().unwrap(), 1, now).unwrap();
        let of = |text: &str, now| bundle_fault(&json!({"clientConfig": {"caBundle": text}}), now);
        let bundle = BASE64_STANDARD.encode(&pair.ca_cert);
        assert_eq!(of(&bundle, now), None);
        let later = now + time::Duration::days(400);
        assert!(of(&bundle, later).unwrap().contains("ended"));
        for other in ["Cg==", "x", "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t"] {
            assert!(
                of(other, now).unwrap().contains("no certificate"),
                "{other}"
            );
        }
        assert!(of("", now).unwrap().contains("no caBundle"));
    }
}
