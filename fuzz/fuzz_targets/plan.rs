//! The planner over any JSON or YAML, with both decisions and several operators' settings: it never
//! panics, its patch always applies, a second run is empty, and what it does not own is untouched.
#![no_main]

use hybridge::inject::{Decision, Settings, plan, read_yaml};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

/// Where a sealed model is opened; the app has a mount of it.
const OPENED_VOLUME: &str = "hybridge-opened";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // JSON is tried first: it is what the webhook reads. YAML is what the offline front reads.
    let Ok(pod) = serde_json::from_str::<Value>(text).or_else(|_| read_yaml(text)) else {
        return;
    };
    let plain_container = Settings {
        kubernetes_version: 28,
        plain_container: true,
        ..Settings::default()
    };
    for settings in [Settings::default(), plain_container] {
        for decision in [Decision::Namespace, Decision::Object, Decision::Enforced] {
            check(&pod, decision, &settings);
        }
    }
});

fn check(pod: &Value, decision: Decision, settings: &Settings) {
    let Ok(first) = plan(pod, decision, settings) else {
        return;
    };
    let mut patched = pod.clone();
    json_patch::patch(&mut patched, &first.ops).expect("the patch applies");
    assert_eq!(&patched, first.patched());
    if !first.injected {
        assert!(first.ops.is_empty(), "a skipped pod is not changed");
        return;
    }
    let second = plan(&patched, decision, settings).expect("the result is accepted");
    assert!(second.ops.is_empty(), "the second run: {:?}", second.ops);
    assert_eq!(foreign_part(&patched), foreign_part(pod));
}

/// The pod without what the planner owns or may change.
fn foreign_part(pod: &Value) -> Value {
    let mut rest = pod.clone();
    if let Some(annotations) = object_mut(&mut rest, &["metadata", "annotations"]) {
        annotations.shift_remove("hybridge.dev/status");
    }
    if let Some(spec) = object_mut(&mut rest, &["spec"]) {
        remove_named(
            spec,
            "volumes",
            &["hybridge-tls", OPENED_VOLUME, "hybridge-sealed-keys", "hybridge-spiffe"],
        );
        for list in ["containers", "initContainers"] {
            remove_named(spec, list, &["hybridge", "hybridge-open"]);
            let containers = spec.get_mut(list).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                strip_container(container);
            }
        }
    }
    without_empty(rest)
}

/// Where an app listens, its hooks, what its probes call, as opposed to when they do, and where it finds a
/// sealed model.
fn strip_container(container: &mut Value) {
    let Some(container) = container.as_object_mut() else {
        return;
    };
    for key in ["command", "args", "env"] {
        container.shift_remove(key);
    }
    remove_named(container, "volumeMounts", &[OPENED_VOLUME]);
    let mut calls: Vec<&mut Value> = Vec::new();
    for (key, value) in container.iter_mut() {
        match key.as_str() {
            "readinessProbe" | "livenessProbe" | "startupProbe" => calls.push(value),
            "lifecycle" => {
                calls.extend(value.as_object_mut().into_iter().flat_map(Map::values_mut))
            }
            _ => {}
        }
    }
    for call in calls.into_iter().filter_map(Value::as_object_mut) {
        for handler in ["httpGet", "tcpSocket", "grpc"] {
            call.shift_remove(handler);
        }
    }
}

fn object_mut<'a>(root: &'a mut Value, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    path.iter()
        .try_fold(root, |value, key| value.get_mut(*key))?
        .as_object_mut()
}

fn remove_named(object: &mut Map<String, Value>, list: &str, names: &[&str]) {
    if let Some(items) = object.get_mut(list).and_then(Value::as_array_mut) {
        let name = |item: &Value| item.get("name").and_then(Value::as_str).map(str::to_owned);
        items.retain(|item| name(item).is_none_or(|name| !names.contains(&name.as_str())));
    }
}

/// A list that is absent, null or empty is the same to Kubernetes, and the planner may fill it.
fn without_empty(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map
                .into_iter()
                .map(|(key, value)| (key, without_empty(value)));
            Value::Object(kept.filter(|(_, value)| !is_empty(value)).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_empty).collect()),
        other => other,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}
