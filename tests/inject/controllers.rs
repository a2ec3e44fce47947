//! Pods in the objects of other controllers: every known kind is injected where it keeps its pods.

use serde_json::{Value, json};

use crate::offline::run;

/// Group and version, kind, and the pointers of its pod templates.
const KINDS: &[(&str, &str, &[&str])] = &[
    (
        "leaderworkerset.x-k8s.io/v1",
        "LeaderWorkerSet",
        &[
            "/spec/leaderWorkerTemplate/leaderTemplate",
            "/spec/leaderWorkerTemplate/workerTemplate",
        ],
    ),
    (
        "jobset.x-k8s.io/v1alpha2",
        "JobSet",
        &["/spec/replicatedJobs/0/template/spec/template"],
    ),
    (
        "ray.io/v1",
        "RayCluster",
        &[
            "/spec/headGroupSpec/template",
            "/spec/workerGroupSpecs/0/template",
        ],
    ),
    (
        "ray.io/v1",
        "RayService",
        &["/spec/rayClusterConfig/headGroupSpec/template"],
    ),
    (
        "ray.io/v1",
        "RayJob",
        &["/spec/rayClusterSpec/headGroupSpec/template"],
    ),
    (
        "kubeflow.org/v1",
        "PyTorchJob",
        &["/spec/pytorchReplicaSpecs/Master/template"],
    ),
    ("argoproj.io/v1alpha1", "Rollout", &["/spec/template"]),
];

/// `value` at `pointer` of an object that has nothing yet; a number is a place in a list.
fn nested(pointer: &str, value: Value) -> Value {
    pointer
        .rsplit('/')
        .filter(|token| !token.is_empty())
        .fold(value, |inner, token| match token.parse::<usize>() {
            Ok(_) => json!([inner]),
            Err(_) => json!({ token: inner }),
        })
}

#[test]
fn every_known_kind_is_injected_where_it_keeps_its_pods() {
    for (version, kind, pointers) in KINDS {
        for pointer in *pointers {
            let template = json!({
                "metadata": {"labels": {"hybridge.dev/inject": "enabled"}},
                "spec": {"containers": [{
                    "name": "app", "image": "vllm/vllm-openai:v0.11.0", "ports": [{"containerPort": 8000}],
                }]},
            });
            let mut object = nested(pointer, template);
            object["apiVersion"] = json!(version);
            object["kind"] = json!(kind);
            object["metadata"] = json!({"name": "workload"});
            let ran = run(&[], &object.to_string());
            assert!(ran.result.is_ok(), "{kind}");
            let injected: Value = serde_json::from_str(&ran.out).unwrap();
            let at = format!("{pointer}/spec/initContainers/0/name");
            assert_eq!(
                injected.pointer(&at),
                Some(&json!("hybridge")),
                "{kind} {pointer}"
            );
        }
    }
}

#[test]
fn a_list_that_cannot_be_read_whole_is_said_and_passes_through() {
    for (list, said) in [
        (
            json!({"apiVersion": "v1", "kind": "List"}),
            "-, document 2: the document, a List, has no items",
        ),
        (
            json!({"apiVersion": "v1", "kind": "PodList", "items": ["text"]}),
            "-, document 2: the item at /items/0 is a text and not an object",
        ),
        (json!("text"), "-, document 2: the document is a text"),
    ] {
        let input = format!("kind: Service\n---\n{list}\n");
        let ran = run(&[], &input);
        assert!(ran.result.is_ok());
        assert_eq!(ran.out, input);
        assert!(
            ran.notices.contains(&format!("warning: {said}")),
            "{}",
            ran.notices
        );
    }
    // Of somebody's own: it has a name, which lists do not have.
    let own = "kind: AllowList\napiVersion: example.com/v1\nmetadata: {name: a}\n";
    assert!(!run(&[], own).notices.contains("warning"));
}
