//! Whether what is installed can refuse a pod: an entry of the webhook that no pod reaches, or a policy whose
//! bindings only warn, is there and protects nothing.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use time::OffsetDateTime;

use super::installed::INJECTOR;
use super::matching::{Narrower, added_conditions, covers, narrower, never_met};
use super::objects::{Cluster, name};
use super::shipped::{ENTRIES, Entry, Policy, Selectors};
use crate::certgen::webhook::entries;
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

/// What keeps an entry from calling the injector with what it is for.
pub(super) fn service_fault(cluster: &Cluster, hook: &Value) -> Option<String> {
    let Some(service) = hook.pointer("/clientConfig/service") else {
        return Some("names no Service".to_owned());
    };
    let field = |key| pod::string(service, key).unwrap_or_default();
    let place = &cluster.installed.namespace;
    if (field("name"), field("namespace")) != (INJECTOR, place) {
        return Some(format!(
            "calls Service {}/{} and not {place}/{INJECTOR}",
            field("namespace"),
            field("name")
        ));
    }
    // 443 is the default.
    let port = service.get("port").and_then(Value::as_u64);
    if let Some(port) = port.filter(|port| *port != 443) {
        return Some(format!("calls port {port} of the Service, which has 443"));
    }
    let entry = entry(hook)?;
    (field("path") != entry.path).then(|| format!("calls {} and not {}", field("path"), entry.path))
}

/// What keeps an entry from seeing the pods that it is for.
pub(super) fn entry_fault(cluster: &Cluster, hook: &Value) -> Option<String> {
    if let Some(condition) = never_met(hook) {
        return Some(format!(
            "has matchCondition {condition}, which is never met"
        ));
    }
    let apart = cluster.installed.apart();
    match narrower(hook, &entry(hook)?.selectors, &apart) {
        Some(Narrower::Ours(by)) => Some(format!("has {by}")),
        _ => None,
    }
}

/// What an entry leaves out by the operator's own labels and conditions.
pub(super) fn entry_notes(cluster: &Cluster, hook: &Value) -> Vec<String> {
    let name = pod::name(hook);
    let apart = cluster.installed.apart();
    let by_label = entry(hook).and_then(|entry| narrower(hook, &entry.selectors, &apart));
    let by_label = match by_label {
        Some(Narrower::Theirs(by)) => Some(format!("entry {name} is for some pods only, by {by}")),
        _ => None,
    };
    let conditions = added_conditions(hook, &[]);
    let conditions = conditions.map(|names| {
        format!("entry {name} is for pods that meet its matchConditions only: {names}")
    });
    by_label.into_iter().chain(conditions).collect()
}

fn entry(hook: &Value) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.name == pod::name(hook))
}

/// What keeps a policy from refusing anything.
pub(super) fn policy_fault(cluster: &Cluster, policy: &Policy) -> Option<String> {
    let Some(object) = cluster.named("ValidatingAdmissionPolicy", policy.name) else {
        return Some("it is not there".to_owned());
    };
    let spec = object.get("spec").unwrap_or(&Value::Null);
    // Fail is the default (admissionregistration.k8s.io/v1).
    if pod::string(spec, "failurePolicy").is_some_and(|what| what != "Fail") {
        return Some("its failurePolicy is not Fail".to_owned());
    }
    let matched = spec.get("matchConstraints").unwrap_or(&Value::Null);
    if let Some(fault) = rules_fault(matched, policy, true) {
        return Some(format!("its matchConstraints have {fault}"));
    }
    if let Some(condition) = never_met(spec) {
        return Some(format!("its matchCondition {condition} is never met"));
    }
    if pod::array(spec, "validations").is_empty() {
        return Some("it has no validations".to_owned());
    }
    let mut bindings = bindings(cluster, policy).peekable();
    if bindings.peek().is_none() {
        return Some("no binding names it".to_owned());
    }
    let fault = bindings.find_map(|found| {
        let fault = binding_fault(cluster, found, policy)?;
        Some(format!("its binding {} {fault}", name(found)))
    });
    fault.or_else(|| {
        let named = cluster.installed.enforces_by_name();
        let mut expected = policy.bindings.iter();
        let missing = expected.find(|one| {
            let mut found = self::bindings(cluster, policy);
            (named || !one.only_named) && !found.any(|found| name(found) == one.name)
        })?;
        Some(format!("its binding {} is not there", missing.name))
    })
}

/// The operation and resource that rules leave out. A binding without rules has those of its policy.
fn rules_fault(matched: &Value, policy: &Policy, required: bool) -> Option<String> {
    if pod::array(matched, "resourceRules").is_empty() {
        return required.then(|| "no resourceRules".to_owned());
    }
    policy.matches.iter().find_map(|what| {
        let (operation, resource) = what;
        if !covers(matched, "resourceRules", *what) {
            return Some(format!("no resourceRule for {operation} of {resource}"));
        }
        covers(matched, "excludeResourceRules", *what)
            .then(|| format!("excludeResourceRules for {operation} of {resource}"))
    })
}

fn bindings<'a>(cluster: &'a Cluster, policy: &'a Policy) -> impl Iterator<Item = &'a Value> {
    let all = cluster.of_kind("ValidatingAdmissionPolicyBinding");
    all.filter(|binding| {
        binding.pointer("/spec/policyName").and_then(Value::as_str) == Some(policy.name)
    })
}

fn binding_fault(cluster: &Cluster, binding: &Value, policy: &Policy) -> Option<String> {
    let spec = binding.get("spec").unwrap_or(&Value::Null);
    let mut actions = pod::array(spec, "validationActions").iter();
    if !actions.any(|action| action.as_str() == Some("Deny")) {
        return Some("has no Deny in its validationActions".to_owned());
    }
    let matched = spec.get("matchResources").unwrap_or(&Value::Null);
    if let Some(fault) = rules_fault(matched, policy, false) {
        return Some(format!("has {fault}"));
    }
    let shipped = policy.bindings.iter().find(|one| one.name == name(binding));
    let shipped = shipped?;
    match narrower(matched, &shipped.selectors, &cluster.installed.apart()) {
        Some(Narrower::Ours(by)) => Some(format!("has {by}")),
        _ if shipped.only_named => cluster.installed.named_otherwise(matched),
        _ => None,
    }
}

/// What a policy, or one of its bindings, leaves out that ours do not. The operator may have meant it.
pub(super) fn policy_notes(cluster: &Cluster, policy: &Policy) -> Vec<String> {
    let title = policy.name;
    let mut notes = Vec::new();
    let object = cluster.named("ValidatingAdmissionPolicy", title);
    if let Some(spec) = object.and_then(|object| object.get("spec")) {
        let matched = spec.get("matchConstraints").unwrap_or(&Value::Null);
        if let Some(by) = left_out(matched, &EVERYTHING, &[]) {
            notes.push(format!("policy {title} is for some objects only, by {by}"));
        }
        if let Some(names) = added_conditions(spec, policy.conditions) {
            notes.push(format!(
                "policy {title} is for requests that meet its matchConditions only: {names}"
            ));
        }
    }
    let apart = cluster.installed.apart();
    for binding in bindings(cluster, policy) {
        let shipped = policy.bindings.iter().find(|one| one.name == name(binding));
        let matched = binding.pointer("/spec/matchResources");
        let shipped = shipped.map_or(&EVERYTHING, |one| &one.selectors);
        if let Some(by) = matched.and_then(|matched| left_out(matched, shipped, &apart)) {
            notes.push(format!(
                "policy {title}: its binding {} is for some pods only, by {by}",
                name(binding)
            ));
        }
    }
    notes
}

/// No requirement: every object of every namespace.
const EVERYTHING: Selectors = Selectors {
    namespace: &[],
    object: &[],
};

fn left_out(matched: &Value, shipped: &Selectors, apart: &[String]) -> Option<String> {
    if !pod::array(matched, "excludeResourceRules").is_empty() {
        return Some("excludeResourceRules".to_owned());
    }
    match narrower(matched, shipped, apart)? {
        Narrower::Ours(by) | Narrower::Theirs(by) => Some(by),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::certgen::webhook::pair;

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
