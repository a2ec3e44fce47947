//! Finding the pods in an object.

use serde_json::Value;

use super::kinds;
use crate::redact::Shown;

/// A pod inside an object: how to call it, and the JSON pointer to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Workload {
    pub(crate) title: String,
    pub(crate) pointer: String,
}

/// Every pod and pod template in `object`, those in lists included; empty for other kinds.
pub(crate) fn find(object: &Value) -> Vec<Workload> {
    let mut found = Vec::new();
    collect(object, "", 0, &mut found);
    found
}

fn collect(object: &Value, at: &str, depth: usize, found: &mut Vec<Workload>) {
    let kind = text(object, "kind");
    let version = text(object, "apiVersion");
    if kind.ends_with("List") && depth < 4 {
        let items = object.get("items").and_then(Value::as_array);
        for (index, item) in items.into_iter().flatten().enumerate() {
            // Items of a typed list carry no kind of their own.
            let typed = item.get("kind").is_none() && kind != "List";
            if typed {
                push(
                    item,
                    kind.trim_end_matches("List"),
                    version,
                    &format!("{at}/items/{index}"),
                    found,
                );
            } else {
                collect(item, &format!("{at}/items/{index}"), depth + 1, found);
            }
        }
        return;
    }
    push(object, kind, version, at, found);
}

fn push(object: &Value, kind: &str, version: &str, at: &str, found: &mut Vec<Workload>) {
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let metadata = object.get("metadata").unwrap_or(&Value::Null);
    let name = [text(metadata, "name"), text(metadata, "generateName")]
        .into_iter()
        .find(|n| !n.is_empty());
    let title = format!("{kind}/{}", Shown::from(name.unwrap_or("(unnamed)")));
    let templates = kinds::templates(group, kind);
    let several = templates.len() > 1 || templates.iter().any(|pattern| pattern.contains('*'));
    for inner in templates
        .iter()
        .flat_map(|pattern| kinds::expand(object, pattern))
    {
        let is_pod = object
            .pointer(&inner)
            .is_some_and(|pod| pod.get("spec").is_some());
        if is_pod || inner.is_empty() {
            found.push(Workload {
                title: if several {
                    format!("{title} ({inner})")
                } else {
                    title.clone()
                },
                pointer: format!("{at}{inner}"),
            });
        }
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_are_found_in_every_kind_that_has_them() {
        let pod = json!({"spec": {}});
        for (object, pointers) in [
            (
                json!({"apiVersion": "v1", "kind": "Pod", "spec": {}}),
                vec![""],
            ),
            (
                json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": {"template": pod}}),
                vec!["/spec/template"],
            ),
            (
                json!({"apiVersion": "batch/v1", "kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": pod}}}}),
                vec!["/spec/jobTemplate/spec/template"],
            ),
            (
                json!({"apiVersion": "v1", "kind": "List", "items": [{"kind": "Service", "apiVersion": "v1"}, {"kind": "Job", "apiVersion": "batch/v1", "spec": {"template": pod}}]}),
                vec!["/items/1/spec/template"],
            ),
            (
                json!({"apiVersion": "v1", "kind": "PodList", "items": [{"spec": {}}]}),
                vec!["/items/0"],
            ),
            (
                json!({"apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": "LeaderWorkerSet", "spec": {"leaderWorkerTemplate": {"leaderTemplate": pod, "workerTemplate": pod}}}),
                vec![
                    "/spec/leaderWorkerTemplate/leaderTemplate",
                    "/spec/leaderWorkerTemplate/workerTemplate",
                ],
            ),
            (
                json!({"apiVersion": "ray.io/v1", "kind": "RayService", "spec": {"rayClusterConfig": {"headGroupSpec": {"template": pod}, "workerGroupSpecs": [{"template": pod}]}}}),
                vec![
                    "/spec/rayClusterConfig/headGroupSpec/template",
                    "/spec/rayClusterConfig/workerGroupSpecs/0/template",
                ],
            ),
            (
                json!({"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "spec": {"pytorchReplicaSpecs": {"Master": {"template": pod}, "Worker": {"template": pod}}}}),
                vec![
                    "/spec/pytorchReplicaSpecs/Master/template",
                    "/spec/pytorchReplicaSpecs/Worker/template",
                ],
            ),
            (
                json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "spec": {}}),
                vec![],
            ),
            (
                json!({"apiVersion": "example.com/v1", "kind": "Deployment", "spec": {"template": pod}}),
                vec![],
            ),
        ] {
            let found: Vec<_> = find(&object).into_iter().map(|w| w.pointer).collect();
            assert_eq!(found, pointers, "{object}");
        }
    }
}
