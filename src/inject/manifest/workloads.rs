//! Finding the pods in an object.

use serde_json::Value;

use super::kinds;
use super::lists::{self, Item};
use crate::inject::plan::pod;
use crate::redact::Shown;

/// A pod inside an object: how to call it, the JSON pointer to it, and the namespace that the object names:
/// a template says none, and its pods are where the object is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Workload {
    pub(crate) title: String,
    pub(crate) pointer: String,
    pub(crate) namespace: Option<String>,
}

/// Every pod and pod template in `object`, those in lists included; empty for other kinds.
pub(crate) fn find(object: &Value) -> Vec<Workload> {
    lists::items(object)
        .items
        .iter()
        .flat_map(in_item)
        .collect()
}

/// Every pod and pod template in one object that is no list.
pub(crate) fn in_item(item: &Item<'_>) -> Vec<Workload> {
    let kind = item.kind;
    let metadata = item.value.get("metadata").unwrap_or(&Value::Null);
    let name = [text(metadata, "name"), text(metadata, "generateName")]
        .into_iter()
        .find(|n| !n.is_empty());
    let title = format!("{kind}/{}", Shown::from(name.unwrap_or("(unnamed)")));
    let templates = kinds::templates(item.group(), kind);
    let several = templates.len() > 1 || templates.iter().any(|pattern| pattern.contains('*'));
    let pointers = templates
        .iter()
        .flat_map(|pattern| kinds::expand(item.value, pattern));
    let is_pod = |inner: &String| {
        let pod = item.value.pointer(inner);
        inner.is_empty() || pod.is_some_and(|pod| pod.get("spec").is_some())
    };
    pointers
        .filter(is_pod)
        .map(|inner| Workload {
            title: if several {
                format!("{title} ({inner})")
            } else {
                title.clone()
            },
            pointer: format!("{}{inner}", item.pointer),
            namespace: pod::namespace(item.value).map(str::to_owned),
        })
        .collect()
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
                json!({"apiVersion": "apps/v1", "kind": "DeploymentList", "items": [{"spec": {"template": pod}}]}),
                vec!["/items/0/spec/template"],
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
