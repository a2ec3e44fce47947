//! Every injected pod is decoded with Kubernetes' own types and encoded again: a key that is lost on
//! the way is misspelled. The strict schemas of other versions are checked by tests/k8s/validate.sh.

use hybridge::inject::{Decision, Settings, plan};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::support::{files, inject, pod, stem, vllm};

/// Paths of `original` that `decoded` does not have with the same value; null and absent are one.
fn lost(original: &Value, decoded: &Value, at: &str, found: &mut Vec<String>) {
    match (original, decoded) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a.iter().filter(|(_, v)| !v.is_null()) {
                lost(
                    value,
                    b.get(key).unwrap_or(&Value::Null),
                    &format!("{at}/{key}"),
                    found,
                );
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                lost(a, b, &format!("{at}/{index}"), found);
            }
        }
        // A quantity may be written as a number; the type keeps it as text.
        (Value::Number(n), Value::String(s)) if n.to_string() == *s => {}
        (a, b) if a == b => {}
        (Value::Array(a), Value::Null) if a.is_empty() => {}
        (Value::Object(a), Value::Null) if a.is_empty() => {}
        _ => found.push(at.to_owned()),
    }
}

fn lost_keys(pod: &Value) -> Vec<String> {
    let typed: Pod = serde_json::from_value(pod.clone()).unwrap();
    let mut found = Vec::new();
    lost(pod, &serde_json::to_value(typed).unwrap(), "", &mut found);
    found
}

#[test]
fn no_key_of_an_injected_pod_is_misspelled() {
    let mut injected = 0;
    for path in files("pods", ".yaml") {
        let original = pod(&stem(&path));
        let Ok(plan) = plan(&original, Decision::Namespace, &Settings::default()) else {
            continue;
        };
        let known = lost_keys(&original);
        let after = lost_keys(plan.patched());
        assert_eq!(after, known, "{}", path.display());
        injected += 1;
    }
    assert!(injected > 20, "{injected}");
}

#[test]
fn the_check_catches_a_planted_misspelling() {
    let mut patched = inject(&vllm()).patched().clone();
    patched["spec"]["initContainers"][0]["securityContext"]["readOnlyRootFilesytem"] = json!(true);
    assert_eq!(
        lost_keys(&patched),
        ["/spec/initContainers/0/securityContext/readOnlyRootFilesytem"]
    );
}
