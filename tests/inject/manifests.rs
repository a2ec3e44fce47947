//! The manifests under k8s/ agree with the code; tests/k8s/validate.sh checks the rest of them.

use std::path::{Path, PathBuf};

use hybridge::inject::certs::WEBHOOKS;
use hybridge::inject::{ENFORCED_PATH, NAMESPACE_PATH, OBJECT_PATH, read_yaml};
use serde_json::{Value, json};

use crate::support::inject;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("k8s").join(name)
}

/// The first document of a file.
fn first(name: &str) -> Value {
    let text = std::fs::read_to_string(file(name)).unwrap();
    read_yaml(text.split("\n---\n").next().unwrap()).unwrap()
}

#[test]
fn the_hand_written_sidecar_is_what_the_injector_makes() {
    let example = inject(&first("examples/vllm.yaml")["spec"]["template"])
        .patched()
        .clone();
    let mut by_hand = first("base/standalone/deployment.yaml")["spec"]["template"].clone();
    // kustomize puts the tag on.
    by_hand["spec"]["initContainers"][0]["image"] = json!("localhost/hybridge:0.1.0");
    assert_eq!(by_hand["spec"], example["spec"]);
}

#[test]
fn the_webhook_configuration_has_the_names_and_paths_of_the_code() {
    let config = first("injector/webhook.yaml");
    let of = |field: &str| -> Vec<Value> {
        let hooks = config["webhooks"].as_array().unwrap().iter();
        hooks
            .map(|hook| hook.pointer(field).unwrap().clone())
            .collect()
    };
    assert_eq!(of("/name"), WEBHOOKS);
    assert_eq!(
        of("/clientConfig/service/path"),
        [NAMESPACE_PATH, OBJECT_PATH, ENFORCED_PATH]
    );
}

#[test]
fn the_examples_are_accepted_without_a_warning() {
    for name in ["stub", "vllm", "triton", "job"] {
        let plan = inject(&first(&format!("examples/{name}.yaml"))["spec"]["template"]);
        assert_eq!(plan.warnings, Vec::<String>::new(), "{name}");
        assert!(plan.injected);
    }
}

/// Every image of a built kustomization's policies is the injector's; tests/k8s/validate.sh builds them.
#[test]
fn the_policies_name_the_image_that_the_injector_writes_by_default() {
    let image = format!("'{}'", hybridge::inject::Settings::default().image);
    for name in ["policy", "policy-running"] {
        let policy = first(&format!("injector/{name}.yaml"));
        let variables = policy["spec"]["variables"].as_array().unwrap();
        assert_eq!(variables[0]["expression"], json!(image), "{name}");
    }
}
