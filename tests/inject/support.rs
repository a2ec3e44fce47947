//! Pods to inject and short ways to look at the result.

use std::path::{Path, PathBuf};

use hybridge::config::{Config, Environment, Flags};
use hybridge::inject::{Decision, Deny, NamespaceDefaults, Plan, Settings, plan};
use serde_json::{Value, json};

pub(crate) fn dir(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/inject")
        .join(name)
}

/// Every file of a test directory with this ending; fails when there is none.
pub(crate) fn files(name: &str, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(ending))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no {ending} in {name}");
    found
}

pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_str().unwrap().to_owned()
}

/// A pod of tests/inject/pods. Read through the offline front's own reader.
pub(crate) fn pod(name: &str) -> Value {
    read_yaml(&dir("pods").join(format!("{name}.yaml")))
}

pub(crate) fn read_yaml(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    hybridge::inject::read_yaml(&text).unwrap()
}

/// The requests of the captured reviews, by file name.
pub(crate) fn captured() -> Vec<(String, Value)> {
    files("fixtures/admission", ".json")
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            (stem(path), serde_json::from_str(&text).unwrap())
        })
        .collect()
}

pub(crate) fn inject(pod: &Value) -> Plan {
    plan(pod, Decision::Namespace, &Settings::default())
        .unwrap_or_else(|deny| panic!("denied: {deny}"))
}

pub(crate) fn refuse(pod: &Value) -> Deny {
    match plan(pod, Decision::Namespace, &Settings::default()) {
        Ok(plan) => panic!("accepted: {}", json!(plan.ops)),
        Err(deny) => deny,
    }
}

/// A minimal vLLM pod on port 8000.
pub(crate) fn vllm() -> Value {
    json!({
        "metadata": {"name": "vllm"},
        "spec": {"containers": [{
            "name": "vllm",
            "image": "vllm/vllm-openai:v0.11.0",
            "args": ["--host", "0.0.0.0"],
            "ports": [{"containerPort": 8000, "name": "http"}],
        }]},
    })
}

/// `pod` with one annotation more.
pub(crate) fn annotated(mut pod: Value, name: &str, value: &str) -> Value {
    pod["metadata"]["annotations"][format!("hybridge.dev/{name}")] = json!(value);
    pod
}

/// The injected sidecar of a patched pod.
/// The usual pod with these annotations.
pub(crate) fn with(annotations: &[(&str, &str)]) -> Value {
    annotations
        .iter()
        .fold(vllm(), |pod, (name, value)| annotated(pod, name, value))
}

/// The same in namespace `ai`, for whose pods the operator wrote these defaults.
pub(crate) fn placed(defaults: &str, annotations: &[(&str, &str)]) -> Result<Plan, Deny> {
    let settings = Settings {
        namespace_defaults: Some(NamespaceDefaults::parse(defaults).unwrap()),
        ..Settings::default()
    };
    let mut pod = with(annotations);
    pod["metadata"]["namespace"] = json!("ai");
    plan(&pod, Decision::Namespace, &settings)
}

/// What the sidecar of an injected pod makes of its variables.
pub(crate) fn config(pod: &Value) -> Config {
    let env = sidecar(pod)["env"].as_array().unwrap().iter();
    // As the kubelet expands them.
    let env: Environment = env
        .map(|entry| {
            let value = entry["value"].as_str().unwrap_or("10.1.2.3");
            let name = entry["name"].as_str().unwrap();
            (name.to_owned(), value.replace("$$(", "$("))
        })
        .collect();
    Config::load(&Flags::default(), &env).unwrap().config
}

pub(crate) fn sidecar(pod: &Value) -> &Value {
    pod["spec"]["initContainers"]
        .as_array()
        .and_then(|list| list.iter().find(|c| c["name"] == "hybridge"))
        .unwrap_or_else(|| panic!("no sidecar in {pod:#}"))
}

pub(crate) fn sidecar_env(pod: &Value, name: &str) -> Option<String> {
    let env = sidecar(pod)["env"].as_array().unwrap();
    env.iter()
        .find(|e| e["name"] == name)
        .and_then(|e| e["value"].as_str())
        .map(str::to_owned)
}

pub(crate) fn probe_table(pod: &Value) -> Vec<Value> {
    let text = sidecar_env(pod, "HYBRIDGE_PROBES").unwrap_or_else(|| "[]".into());
    serde_json::from_str(&text).unwrap()
}

/// The pod after an independent application of the operations.
pub(crate) fn apply(pod: &Value, plan: &Plan) -> Value {
    let mut patched = pod.clone();
    let ops: json_patch::Patch =
        serde_json::from_value(serde_json::to_value(&plan.ops).unwrap()).unwrap();
    json_patch::patch(&mut patched, &ops).unwrap();
    patched
}
