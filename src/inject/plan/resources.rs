//! Requests, limits and the quality-of-service class: what the sidecar asks for, so that a Guaranteed pod
//! stays Guaranteed and a quota on limits can be met.

use serde_json::{Map, Value, json};

use super::annotations::Request;
use super::pod::{self, Slot};
use super::quantity::Quantity;
pub(crate) use crate::budget::{SPAN_MEMORY, connections};

/// Whether every container but ours has equal requests and limits, which makes the pod Guaranteed.
pub(crate) fn is_guaranteed(pod: &Value, ours: &str) -> bool {
    is_guaranteed_without(pod, &[ours])
}

/// The same with several containers of ours.
pub(crate) fn is_guaranteed_without(pod: &Value, ours: &[&str]) -> bool {
    pod::spec(pod).get("resources").is_none_or(Value::is_null)
        && pod::all_slots(pod)
            .filter(|slot| !ours.contains(&slot.name()))
            .all(|slot| container_is_guaranteed(&slot))
}

fn container_is_guaranteed(slot: &Slot<'_>) -> bool {
    ["cpu", "memory"].iter().all(|resource| {
        let amount = |kind: &str| {
            slot.value
                .get("resources")
                .and_then(|r| r.get(kind))
                .and_then(|r| r.get(resource))
                .map(Quantity::from_json)
        };
        match (amount("limits"), amount("requests")) {
            (Some(Some(_)), None) => true,
            (Some(Some(limit)), Some(Some(request))) => limit == request,
            _ => false,
        }
    })
}

/// The `resources` of the sidecar. Keys that an admission plugin (LimitRanger) added beside ours stay.
pub(crate) fn sidecar(request: &Request, guaranteed: bool, existing: Option<&Value>) -> Value {
    let mut requests = Map::from_iter([
        ("cpu".to_owned(), json!(request.cpu_request)),
        ("memory".to_owned(), json!(request.memory)),
    ]);
    let mut limits = Map::from_iter([("memory".to_owned(), json!(request.memory))]);
    if let Some(cpu) = &request.cpu_limit {
        limits.insert("cpu".into(), json!(cpu));
    } else if guaranteed {
        limits.insert("cpu".into(), json!(request.cpu_request));
    }
    keep_others(&mut requests, existing, "requests");
    keep_others(&mut limits, existing, "limits");
    json!({"limits": limits, "requests": requests})
}

fn keep_others(ours: &mut Map<String, Value>, existing: Option<&Value>, kind: &str) {
    let others = existing
        .and_then(|e| e.get("resources"))
        .and_then(|r| r.get(kind))
        .and_then(Value::as_object);
    for (key, value) in others.into_iter().flatten() {
        ours.entry(key.clone()).or_insert_with(|| value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inject::plan::annotations::DEFAULT_MEMORY;

    #[test]
    fn connections_follow_the_memory_and_are_shared_by_listeners() {
        let bytes = |text| Quantity::parse(text).map_or(0, Quantity::whole);
        assert_eq!(bytes("64Mi"), 64 << 20);
        assert_eq!(connections(bytes(DEFAULT_MEMORY), 0, 1), 256);
        assert_eq!(connections(bytes("64Mi"), 0, 1), 106);
        assert_eq!(connections(bytes("64Mi"), 0, 3), 35);
        assert_eq!(connections(bytes("8Gi"), 0, 1), 10_000);
        assert_eq!(connections(bytes("1"), 0, 1), 1);
    }

    #[test]
    fn a_pod_is_guaranteed_only_when_every_container_is() {
        let full = json!({"name": "a", "resources": {"limits": {"cpu": 1, "memory": "1Gi"}, "requests": {"cpu": "1000m"}}});
        let part = json!({"name": "b", "resources": {"limits": {"memory": "1Gi"}}});
        assert!(is_guaranteed(
            &json!({"spec": {"containers": [full]}}),
            "hybridge"
        ));
        assert!(!is_guaranteed(
            &json!({"spec": {"containers": [full, part]}}),
            "hybridge"
        ));
        assert!(!is_guaranteed(
            &json!({"spec": {"containers": [full], "initContainers": [part]}}),
            "hybridge"
        ));
        assert!(is_guaranteed(
            &json!({"spec": {"containers": [full], "initContainers": [{"name": "hybridge"}]}}),
            "hybridge"
        ));
    }
}
