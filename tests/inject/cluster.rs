//! `inject status` and `inject check`, from what kubectl prints.

use std::io::Cursor;

use hybridge::inject::cluster::{check, status};
use hybridge::inject::{ClusterArgs, Error};
use serde_json::{Value, json};

use crate::support::{annotated, inject, pod, vllm};

pub(crate) type Command = fn(&ClusterArgs, &mut Cursor<Vec<u8>>, &mut Vec<u8>) -> Result<(), Error>;

pub(crate) fn run(command: Command, objects: &[Value]) -> (String, bool) {
    run_on(
        command,
        &json!({"apiVersion": "v1", "kind": "List", "items": objects}),
    )
}

fn run_on(command: Command, list: &Value) -> (String, bool) {
    let mut out = Vec::new();
    let mut input = Cursor::new(list.to_string().into_bytes());
    let args = ClusterArgs::default();
    let result = command(&args, &mut input, &mut out);
    (String::from_utf8(out).unwrap(), result.is_ok())
}

pub(crate) fn namespace(name: &str, label: Option<&str>) -> Value {
    let mut object =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {}}});
    if let Some(label) = label {
        object["metadata"]["labels"]["hybridge.dev/injection"] = json!(label);
    }
    object
}

pub(crate) fn placed(mut pod: Value, namespace: &str, name: &str) -> Value {
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["namespace"] = json!(namespace);
    pod["metadata"]["name"] = json!(name);
    pod
}

#[test]
fn status_counts_per_namespace_and_names_what_is_missing() {
    let injected = inject(&vllm()).patched().clone();
    let mut over = placed(vllm(), "ai", "over");
    over["status"] = json!({"phase": "Succeeded"});
    let mut out = placed(vllm(), "ai", "out");
    out["metadata"]["labels"] = json!({"hybridge.dev/inject": "disabled"});
    let objects = [
        namespace("ai", Some("enabled")),
        namespace("web", None),
        placed(injected, "ai", "good"),
        placed(vllm(), "ai", "old"),
        placed(vllm(), "web", "other"),
        over,
        out,
    ];
    let (text, good) = run(status, &objects);
    assert!(!good, "{text}");
    assert!(text.contains("missing    ai/old"), "{text}");
    for absent in ["ai/over", "ai/out", "web/other"] {
        assert!(!text.contains(absent), "{text}");
    }
    let row = text.lines().find(|line| line.starts_with("ai ")).unwrap();
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[1..4], ["1", "1", "1"], "{row}");
    assert!(
        row.contains("0.1.0 (1)") && row.contains("hybrid-preferred (1)"),
        "{row}"
    );
    let (text, good) = run(status, &objects[..3]);
    assert!(good, "{text}");
}

#[test]
fn check_before_an_installation_names_what_would_be_refused() {
    let deployment = |name: &str, pod: Value| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "ai"},
               "spec": {"template": {"metadata": {"labels": {"hybridge.dev/inject": "enabled"}}, "spec": pod["spec"]}}})
    };
    let objects = [
        namespace("ai", None),
        namespace("typo", Some("true")),
        deployment("llama", vllm()),
        deployment("own", pod("unknown-server")),
    ];
    let (text, good) = run(check, &objects);
    assert!(!good);
    assert!(
        text.contains("Deployment/own in ai would be refused"),
        "{text}"
    );
    assert!(text.contains("namespace typo"), "{text}");
    assert!(!text.contains("Deployment/llama"), "{text}");
    assert!(text.contains("2 workloads are to be injected"), "{text}");
}

/// They reach no pod, so that the webhook sees them as little as a plan.
#[test]
fn check_names_annotations_beside_the_template() {
    let deployment = |place: &str| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
               "metadata": {"name": "llama", "namespace": place, "labels": {"hybridge.dev/inject": "disabled"}, "annotations": {"hybridge.dev/plicy": "x"}},
               "spec": {"template": {"metadata": {}, "spec": vllm()["spec"]}}})
    };
    let objects = [
        namespace("ai", Some("enabled")),
        namespace("out", Some("disabled")),
        deployment("ai"),
        deployment("out"),
    ];
    let (text, good) = run(check, &objects);
    assert!(good, "{text}");
    let said = "note  Deployment/llama in ai: hybridge.dev/inject, hybridge.dev/plicy beside the pod template is not read: move it to spec.template.metadata";
    assert!(text.contains(said), "{text}");
    assert!(!text.contains("in out"), "{text}");
    assert!(text.contains("1 workload is to be injected"), "{text}");
}

#[test]
fn check_names_labels_in_the_wrong_place_of_a_namespace() {
    let mut asking = namespace("asking", None);
    asking["metadata"]["annotations"] = json!({"hybridge.dev/injection": "enabled"});
    let mut podlike = namespace("podlike", None);
    podlike["metadata"]["labels"] = json!({"hybridge.dev/inject": "enabled"});
    let (text, good) = run(check, &[asking, podlike, namespace("ai", Some("enabled"))]);
    assert!(good, "{text}");
    for said in [
        "note  namespace asking has the annotation hybridge.dev/injection, which is a label and not read as an annotation: kubectl label namespace asking hybridge.dev/injection=enabled",
        "note  namespace podlike has the label hybridge.dev/inject, which is not read there: of a namespace hybridge.dev/injection counts",
    ] {
        assert!(text.contains(said), "{said} not in {text}");
    }
    assert!(!text.contains("--namespace-defaults"), "{text}");
    assert!(!text.contains("namespace ai has"), "{text}");
}

/// What cannot be checked is said, as the offline front says it.
#[test]
fn check_names_what_it_cannot_look_at() {
    let containers = json!([{"name": "a", "image": "vllm/vllm-openai:v0.11.0"}]);
    let service = |place: &str, labels: Value| {
        json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
               "metadata": {"name": "llama", "namespace": place, "labels": labels},
               "spec": {"predictor": {"containers": containers}}})
    };
    let own = json!({"apiVersion": "example.org/v1", "kind": "ModelServer", "metadata": {"name": "own", "namespace": "ai"},
                     "spec": {"template": {"spec": {"containers": containers}}}});
    let asking = json!({"hybridge.dev/inject": "enabled"});
    let objects = [
        namespace("ai", Some("enabled")),
        namespace("web", None),
        namespace("out", Some("disabled")),
        service("ai", json!({})),
        own,
        service("web", asking.clone()),
        service("out", asking),
    ];
    let (text, good) = run(check, &objects);
    assert!(good, "{text}");
    for said in [
        "note  InferenceService/llama in ai: containers at /spec/predictor/containers are not checked: KServe merges them",
        "note  ModelServer/own in ai: containers at /spec/template/spec/containers are not checked: its controller makes the pods; the webhook reviews",
        "note  InferenceService/llama in web: ",
    ] {
        assert!(text.contains(said), "{said} not in {text}");
    }
    assert!(!text.contains("in out"), "{text}");
    let (text, _) = run(check, &[namespace("web", None), service("web", json!({}))]);
    assert!(!text.contains("InferenceService"), "{text}");
}

#[test]
fn check_names_namespaces_that_it_was_not_given() {
    let deployment = |place: &str| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": place},
               "spec": {"template": {"spec": vllm()["spec"]}}})
    };
    let given = [namespace("ai", Some("enabled")), deployment("ai")];
    let (text, _) = run(check, &given);
    assert!(!text.contains("not in the input:"), "{text}");
    let mut objects = given.to_vec();
    objects.extend((10..22).map(|number| deployment(&format!("n{number}"))));
    let (text, good) = run(check, &objects);
    let said = "note  12 namespaces of workloads not in the input: n10, n11, n12, n13, n14, n15, n16, n17, n18, n19 and 2 more: only labels of pods count there; give the namespaces too";
    assert!(good && text.contains(said), "{text}");
}

#[test]
fn a_list_that_cannot_be_read_whole_is_said_by_both() {
    let pods = |items: Value| json!({"apiVersion": "v1", "kind": "PodList", "items": items});
    let injected = placed(inject(&vllm()).patched().clone(), "ai", "good");
    for (list, said) in [
        (
            json!({"apiVersion": "v1", "kind": "List"}),
            "-: the document, a List, has no items",
        ),
        (
            pods(json!({"a": 1})),
            "a PodList, has items that are an object and not a list",
        ),
        (
            pods(json!([injected, "text"])),
            "the item at /items/1 is a text and not an object",
        ),
        (
            json!([injected]),
            "the document is a list and not an object",
        ),
    ] {
        for command in [status as Command, check] {
            let (text, good) = run_on(command, &list);
            assert!(!good && text.contains(said), "{list}: {text}");
        }
    }
    let (text, good) = run_on(status, &pods(json!([injected, null])));
    assert!(!good && text.contains("ai "), "{text}");
    let named =
        json!({"apiVersion": "example.com/v1", "kind": "AllowList", "metadata": {"name": "a"}});
    assert!(!run(check, &[named]).0.contains("AllowList"));
}

#[test]
fn workloads_of_a_typed_list_are_checked() {
    let template = json!({"metadata": {"labels": {"hybridge.dev/inject": "enabled"}}, "spec": pod("unknown-server")["spec"]});
    let list = json!({"apiVersion": "apps/v1", "kind": "DeploymentList", "items": [
        {"metadata": {"name": "own", "namespace": "ai"}, "spec": {"template": template}},
    ]});
    let (text, good) = run_on(check, &list);
    assert!(
        !good && text.contains("Deployment/own in ai would be refused"),
        "{text}"
    );
}

#[test]
fn a_pod_is_checked_by_itself_where_its_owner_is_not_in_the_input() {
    let mut pod = placed(vllm(), "ai", "batch-x7k2p");
    pod["spec"]["hostNetwork"] = json!(true);
    let owned = |reference: Value| {
        let mut pod = pod.clone();
        pod["metadata"]["ownerReferences"] = json!([reference]);
        pod
    };
    let ai = namespace("ai", Some("enabled"));
    let job = |place: &str, uid: &str| {
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "batch", "namespace": place, "uid": uid},
               "spec": {"template": {"spec": vllm()["spec"]}}})
    };
    let of_job = json!({"apiVersion": "batch/v1", "kind": "Job", "name": "batch", "uid": "1", "controller": true});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "batch", "namespace": "ai"}});
    for (reference, other) in [
        (json!({"kind": "Job"}), None),
        (of_job.clone(), None),
        (of_job.clone(), Some(job("elsewhere", "1"))),
        (of_job.clone(), Some(job("ai", "2"))),
        // It has no template, so it decides nothing.
        (json!({"kind": "Service", "name": "batch"}), Some(service)),
    ] {
        let objects: Vec<Value> = [ai.clone(), owned(reference.clone())]
            .into_iter()
            .chain(other)
            .collect();
        let (text, good) = run(check, &objects);
        let said = "Pod/batch-x7k2p in ai would be refused";
        assert!(!good && text.contains(said), "{reference}: {text}");
    }
    // The template counts, which has no network of the host.
    let (text, good) = run(check, &[ai, job("ai", "1"), owned(of_job)]);
    assert!(good, "{text}");
    assert!(text.contains("1 workload is to be injected"), "{text}");
}

#[test]
fn status_counts_pods_that_ask_clients_for_a_certificate() {
    let asked = [
        ("client-auth", "required"),
        ("client-ca", "configmap/clients"),
        ("allow-any", "true"),
    ];
    let asked = asked
        .iter()
        .fold(vllm(), |pod, (name, value)| annotated(pod, name, value));
    let agent = annotated(vllm(), "spiffe", "csi/csi.spiffe.io");
    let objects = [
        namespace("ai", Some("enabled")),
        placed(inject(&asked).patched().clone(), "ai", "asked"),
        placed(inject(&vllm()).patched().clone(), "ai", "open"),
        placed(inject(&agent).patched().clone(), "ai", "agent"),
    ];
    let (text, _) = run(status, &objects);
    assert!(
        text.contains("client-auth required (1), spiffe (1)"),
        "{text}"
    );
}

/// A file of manifests has several documents, as the offline front reads them.
#[test]
fn every_document_of_a_file_is_read() {
    let text = "# stub\n---\nkind: Namespace\napiVersion: v1\nmetadata: {name: ai, labels: {hybridge.dev/injection: enabled}}\n---\n---\nkind: Pod\napiVersion: v1\nmetadata: {name: app, namespace: ai}\nspec: {containers: [{name: vllm, image: \"vllm/vllm-openai:v0.11.0\", args: [--host, 0.0.0.0], ports: [{containerPort: 8000}]}]}\n";
    let read = |text: &str| {
        let mut out = Vec::new();
        let mut input = Cursor::new(text.as_bytes().to_vec());
        let result = check(&ClusterArgs::default(), &mut input, &mut out);
        (String::from_utf8(out).unwrap(), result)
    };
    let (said, result) = read(text);
    assert!(result.is_ok(), "{said}");
    assert!(
        said.contains("note  1 workload is to be injected"),
        "{said}"
    );
    let (said, result) = read(&format!("{text}---\nkind: [\n"));
    let error = result.unwrap_err().to_string();
    assert!(error.starts_with("-, document 3: "), "{error} {said}");
    let (said, result) = read(&format!("{text}---\njust a text\n"));
    assert!(
        result.is_err()
            && said.contains(
                "FAIL  -, document 3: the document is a text and not an object; it is left out"
            ),
        "{said}"
    );
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/k8s/examples/stub.yaml");
    let (said, result) = read(&std::fs::read_to_string(example).unwrap());
    assert!(result.is_ok(), "{said}");
}
