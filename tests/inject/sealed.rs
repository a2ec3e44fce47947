//! A sealed model: the init container that opens it, and pods in which that is not possible.

use clap::Parser;
use hybridge::cli::{Cli, Command};
use hybridge_seal::args::{Artifact, Command as Sealing};
use serde_json::{Value, json};

use crate::support::{annotated, apply, inject, pod, refuse};

fn opener(pod: &Value) -> &Value {
    let containers = pod["spec"]["initContainers"].as_array().unwrap();
    let last = containers.last().unwrap();
    assert_eq!(
        last["name"], "hybridge-open",
        "after what downloads the files"
    );
    last
}

#[test]
fn the_arguments_are_those_of_the_command() {
    let plan = inject(&pod("sealed"));
    let opener = opener(plan.patched());
    let arguments = opener["args"].as_array().unwrap().iter();
    let arguments = arguments.map(|argument| argument.as_str().unwrap());
    let cli = Cli::try_parse_from([&["hybridge"][..], &arguments.collect::<Vec<_>>()].concat());
    let Command::Artifact(Artifact(Sealing::Open(open))) = cli.unwrap().command else {
        panic!("another command");
    };
    assert_eq!(open.from.to_str(), Some("/sealed/llama"));
    assert!(open.require_memory && open.replace && !open.unsafe_unsigned);
    assert_eq!(
        open.verify_with.unwrap().to_str(),
        Some("/etc/hybridge/sealed")
    );
    assert_eq!(opener["resources"]["limits"]["memory"], "16480Mi");
}

#[test]
fn the_app_can_read_the_model_and_only_the_opener_has_the_identity() {
    let plan = inject(&pod("sealed"));
    let spec = &plan.patched()["spec"];
    let mount = json!({"name": "hybridge-opened", "mountPath": "/models/llama", "readOnly": true});
    assert_eq!(spec["containers"][0]["volumeMounts"], json!([mount]));
    let containers = ["containers", "initContainers"].map(|list| spec[list].as_array().unwrap());
    let with_keys = containers.into_iter().flatten().filter(|container| {
        container["volumeMounts"]
            .to_string()
            .contains("hybridge-sealed-keys")
    });
    let names: Vec<_> = with_keys.map(|container| &container["name"]).collect();
    assert_eq!(names, ["hybridge-open"]);
}

#[test]
fn a_second_run_changes_nothing_and_repairs_what_was_weakened() {
    let first = inject(&pod("sealed"));
    let patched = first.patched().clone();
    assert!(inject(&patched).ops.is_empty());
    let mut weakened = patched.clone();
    let at = weakened["spec"]["initContainers"].as_array().unwrap().len() - 1;
    let arguments = weakened["spec"]["initContainers"][at]["args"]
        .as_array_mut()
        .unwrap();
    arguments.retain(|argument| argument != "--verify-with" && argument != "/etc/hybridge/sealed");
    arguments.push(json!("--unsafe-unsigned"));
    let plan = inject(&weakened);
    assert_eq!(apply(&weakened, &plan), patched);
}

#[test]
fn the_identity_may_come_from_the_confidential_data_hub() {
    let url = "http://127.0.0.1:8006/cdh/resource/default/key/model";
    let plan = inject(&annotated(pod("sealed"), "sealed-identity", url));
    assert!(opener(plan.patched())["args"].to_string().contains(url));
    assert!(
        !plan.patched()["spec"]["volumes"]
            .to_string()
            .contains("identity.txt")
    );
}

/// The annotation and `hybridge open` have one reader: both take these.
#[test]
fn what_the_command_fetches_from_the_annotation_takes() {
    for url in [
        "http://localhost:8006/k",
        "http://127.0.0.1/k",
        "http://[::1]/k",
        "http://[::1]:8006/k",
        "http://127.0.0.2:8006",
    ] {
        let plan = inject(&annotated(pod("sealed"), "sealed-identity", url));
        let arguments = opener(plan.patched())["args"].to_string();
        assert!(arguments.contains(&format!("{url:?}")), "{arguments}");
    }
}

#[test]
fn the_smallest_and_the_largest_size_are_taken() {
    for (size, memory) in [("1Mi", "97Mi"), ("1Pi", "1073741920Mi")] {
        let plan = inject(&annotated(pod("sealed"), "sealed-size", size));
        let opener = opener(plan.patched());
        assert_eq!(opener["resources"]["limits"]["memory"], memory);
    }
}

/// Annotation, value, and what the refusal says.
const REFUSED: [(&str, &str, &str); 15] = [
    (
        "sealed",
        "other=/models",
        "names volume \"other\", which the pod does not have; add it to spec.volumes",
    ),
    (
        "sealed",
        "store",
        "write VOLUME=PATH or VOLUME/DIRECTORY=PATH",
    ),
    (
        "sealed",
        "store=/models/../etc",
        "write VOLUME=PATH or VOLUME/DIRECTORY=PATH",
    ),
    (
        "sealed-identity",
        "configmap/x",
        "names a ConfigMap, which more people may read than should",
    ),
    (
        "sealed-identity",
        "http://192.0.2.1/key",
        "write http://127.0.0.1:PORT/PATH",
    ),
    (
        "sealed-identity",
        "http://127.0.0.1:notaport/k",
        "is a URL that the init container does not fetch from",
    ),
    (
        "sealed-identity",
        "http://127.0.0.1:80@evil.example/k",
        "without user and `$`",
    ),
    (
        "sealed-identity",
        "https://127.0.0.1:8006/k",
        "http://localhost:PORT/PATH",
    ),
    (
        "sealed-identity",
        "http://127.0.0.1:8006/$(HOME)",
        "without user and `$`",
    ),
    (
        "sealed-signer",
        "x",
        "write configmap/NAME or secret/NAME, which has ec.pub and mldsa.pub",
    ),
    ("sealed-size", "much", "give a quantity above zero"),
    ("sealed-size", "20E", "is \"20E\", more than 1Pi"),
    ("sealed-size", "1025Ti", "more than 1Pi"),
    (
        "sealed-size",
        "100m",
        "is \"100m\", less than 1Mi, in which no model fits (`m` is a thousandth of a byte); write memory for the opened model, such as 100Mi",
    ),
    ("sealed-size", "1023Ki", "less than 1Mi"),
];

#[test]
fn what_cannot_be_opened_is_refused() {
    for (name, value, says) in REFUSED {
        let message = refuse(&annotated(pod("sealed"), name, value)).to_string();
        assert!(message.contains(says), "{name}: {message}");
    }
}

#[test]
fn a_sealed_model_needs_all_its_annotations_and_a_place_of_its_own() {
    for name in ["sealed-identity", "sealed-signer", "sealed-size"] {
        let mut without = pod("sealed");
        let annotations = without["metadata"]["annotations"].as_object_mut().unwrap();
        annotations.remove(&format!("hybridge.dev/{name}"));
        let message = refuse(&without).to_string();
        assert!(
            message.contains(&format!("sealed needs annotation hybridge.dev/{name}: ")),
            "{message}"
        );
    }
    let mut alone = pod("sealed");
    let annotations = alone["metadata"]["annotations"].as_object_mut().unwrap();
    annotations.remove("hybridge.dev/sealed");
    let message = refuse(&alone).to_string();
    assert!(
        message.contains("has a meaning only with hybridge.dev/sealed"),
        "{message}"
    );
    let mut taken = pod("sealed");
    taken["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "store", "mountPath": "/models/llama/"}]);
    let message = refuse(&taken).to_string();
    assert!(
        message.contains("where container \"vllm\" mounts volume \"store\""),
        "{message}"
    );
    let mut shared = pod("sealed");
    shared["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "hybridge-sealed-keys", "mountPath": "/k"}]);
    let message = refuse(&shared).to_string();
    assert!(
        message.contains("holds the identity and belongs only to hybridge-open"),
        "{message}"
    );
}
