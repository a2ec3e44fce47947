//! Where each kind keeps its pods, and what holds containers all the same: a kind that is not known
//! here is said, never passed over.

use serde_json::Value;

use crate::inject::plan::labels::INJECT_LABEL;

/// Pod templates of a kind: JSON pointers in which `*` stands for every item of a list or a map.
pub(crate) fn templates(group: &str, kind: &str) -> &'static [&'static str] {
    match (group, kind) {
        ("", "Pod") => &[""],
        ("", "PodTemplate") => &["/template"],
        ("", "ReplicationController")
        | ("apps" | "extensions", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("batch", "Job")
        | ("argoproj.io", "Rollout") => &["/spec/template"],
        ("batch", "CronJob") => &["/spec/jobTemplate/spec/template"],
        ("leaderworkerset.x-k8s.io", "LeaderWorkerSet") => &[
            "/spec/leaderWorkerTemplate/leaderTemplate",
            "/spec/leaderWorkerTemplate/workerTemplate",
        ],
        ("jobset.x-k8s.io", "JobSet") => &["/spec/replicatedJobs/*/template/spec/template"],
        ("ray.io", "RayCluster") => &[
            "/spec/headGroupSpec/template",
            "/spec/workerGroupSpecs/*/template",
        ],
        ("ray.io", "RayService") => &[
            "/spec/rayClusterConfig/headGroupSpec/template",
            "/spec/rayClusterConfig/workerGroupSpecs/*/template",
        ],
        ("ray.io", "RayJob") => &[
            "/spec/rayClusterSpec/headGroupSpec/template",
            "/spec/rayClusterSpec/workerGroupSpecs/*/template",
            "/spec/submitterPodTemplate",
        ],
        ("kubeflow.org", "PyTorchJob") => &["/spec/pytorchReplicaSpecs/*/template"],
        ("kubeflow.org", "TFJob") => &["/spec/tfReplicaSpecs/*/template"],
        ("kubeflow.org", "MPIJob") => &["/spec/mpiReplicaSpecs/*/template"],
        ("kubeflow.org", "XGBoostJob") => &["/spec/xgbReplicaSpecs/*/template"],
        ("kubeflow.org", "PaddleJob") => &["/spec/paddleReplicaSpecs/*/template"],
        ("kubeflow.org", "JAXJob") => &["/spec/jaxReplicaSpecs/*/template"],
        _ => &[],
    }
}

/// Kinds of KServe, whose pods its controller merges from several objects: why they cannot be injected
/// here, and where labels and annotations are copied to the pods from (KServe 0.20, `predictor.go`,
/// `MergeRuntimeContainers`; `llmisvc/config_merge.go`).
pub(crate) fn merged_elsewhere(group: &str, kind: &str) -> Option<&'static str> {
    match (group, kind) {
        ("serving.kserve.io", "InferenceService") => Some(
            "KServe merges them with a ServingRuntime's and joins the arguments of both; labels and annotations in its metadata reach the pods",
        ),
        ("serving.kserve.io", "ServingRuntime" | "ClusterServingRuntime") => Some(
            "KServe merges them into the pods of each InferenceService, and the kind has no init containers; its spec.labels and spec.annotations reach the pods",
        ),
        ("serving.kserve.io", "LLMInferenceService" | "LLMInferenceServiceConfig") => Some(
            "KServe merges them with those of its LLMInferenceServiceConfigs; its spec.labels and spec.annotations reach the pods",
        ),
        _ => None,
    }
}

/// The pointers that a pattern stands for in `object`.
pub(crate) fn expand(object: &Value, pattern: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for token in pattern.split('/').skip(1) {
        found = found
            .into_iter()
            .flat_map(|at| step(object, &at, token))
            .collect();
    }
    found
}

fn step(object: &Value, at: &str, token: &str) -> Vec<String> {
    if token != "*" {
        return vec![format!("{at}/{token}")];
    }
    match object.pointer(at) {
        Some(Value::Array(items)) => (0..items.len()).map(|i| format!("{at}/{i}")).collect(),
        Some(Value::Object(map)) => map
            .keys()
            .map(|key| format!("{at}/{}", escaped(key)))
            .collect(),
        _ => Vec::new(),
    }
}

/// A key as a token of a JSON pointer (RFC 6901 §3).
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Places of `containers` lists that lie outside of the pods at `known`.
pub(crate) fn other_containers(object: &Value, known: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    search(object, "", known, 0, &mut found);
    found
}

fn search(value: &Value, at: &str, known: &[String], depth: usize, found: &mut Vec<String>) {
    const DEEPEST: usize = 24;
    if known.iter().any(|pod| pod == at) || depth > DEEPEST {
        return;
    }
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let place = format!("{at}/{}", escaped(key));
                if key == "containers" && is_containers(inner) {
                    found.push(place);
                } else {
                    search(inner, &place, known, depth + 1, found);
                }
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                search(inner, &format!("{at}/{index}"), known, depth + 1, found);
            }
        }
        _ => {}
    }
}

fn is_containers(value: &Value) -> bool {
    value.as_array().is_some_and(|items| {
        !items.is_empty()
            && items
                .iter()
                .all(|item| item.get("image").is_some() || item.get("command").is_some())
    })
}

/// Whether any labels in `object` ask for injection, at the top or in a template. A value that nobody knows
/// reaches the webhook too.
pub(crate) fn asks_for_injection(object: &Value) -> bool {
    match object {
        Value::Object(map) => map.iter().any(|(key, value)| {
            (key == "labels"
                && value
                    .get(INJECT_LABEL)
                    .is_some_and(|label| label != "disabled"))
                || asks_for_injection(value)
        }),
        Value::Array(items) => items.iter().any(asks_for_injection),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_star_stands_for_every_item_of_a_list_or_a_map() {
        let object = json!({"spec": {"groups": [{}, {}], "roles": {"Master": {}, "a/b": {}}}});
        assert_eq!(
            expand(&object, "/spec/groups/*/template"),
            ["/spec/groups/0/template", "/spec/groups/1/template"]
        );
        assert_eq!(
            expand(&object, "/spec/roles/*/template"),
            ["/spec/roles/Master/template", "/spec/roles/a~1b/template"]
        );
        assert!(expand(&object, "/spec/absent/*/template").is_empty());
        assert_eq!(expand(&object, ""), [""]);
    }

    #[test]
    fn containers_outside_of_known_pods_are_found() {
        let pod = json!({"spec": {"containers": [{"name": "a", "image": "a:1"}]}});
        let object = json!({"spec": {"template": pod, "predictor": {"containers": [{"name": "k", "image": "k:1"}]}, "columns": {"containers": ["text"]}}});
        assert_eq!(
            other_containers(&object, &["/spec/template".into()]),
            ["/spec/predictor/containers"]
        );
        assert_eq!(other_containers(&object, &[]).len(), 2);
    }

    #[test]
    fn the_label_is_found_wherever_a_template_is() {
        let labelled = json!({"metadata": {"labels": {"hybridge.dev/inject": "enabled"}}});
        assert!(asks_for_injection(&labelled));
        assert!(asks_for_injection(
            &json!({"spec": {"a": [{"template": labelled}]}})
        ));
        assert!(!asks_for_injection(
            &json!({"metadata": {"annotations": {"hybridge.dev/inject": "enabled"}}})
        ));
    }
}
