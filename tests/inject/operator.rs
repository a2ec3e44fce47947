//! What the operator of the injector sets: defaults for every pod, defaults of a namespace, pull Secrets.

use hybridge::inject::{Decision, NamespaceDefaults, Settings, plan};
use serde_json::{Value, json};

use crate::support::{annotated, sidecar, sidecar_env, vllm};

fn patched(pod: &Value, settings: &Settings) -> Value {
    let plan = plan(pod, Decision::Namespace, settings).unwrap_or_else(|deny| panic!("{deny}"));
    plan.patched().clone()
}

#[test]
fn the_pod_of_a_job_drains_without_a_delay() {
    let mut pod = vllm();
    pod["spec"]["restartPolicy"] = json!("Never");
    let delay = |pod: &Value| {
        sidecar_env(&patched(pod, &Settings::default()), "HYBRIDGE_DRAIN_DELAY").unwrap()
    };
    assert_eq!(delay(&pod), "0s");
    assert_eq!(delay(&annotated(pod, "drain-delay", "3s")), "3s");
    assert_eq!(delay(&vllm()), "5s");
}

#[test]
fn defaults_of_a_namespace_stand_between_the_pod_and_the_operator() {
    let defaults = NamespaceDefaults::parse(
        "ai: {memory: 256Mi, hybridge.dev/tls-secret: ai-tls}\nbatch:\n  policy: hybrid-required\n",
    )
    .unwrap();
    let settings = Settings {
        namespace_defaults: Some(defaults),
        ..Settings::default()
    };
    let mut pod = vllm();
    pod["metadata"]["namespace"] = json!("ai");
    let there = patched(&pod, &settings);
    assert_eq!(sidecar(&there)["resources"]["limits"]["memory"], "256Mi");
    assert!(there["spec"]["volumes"].to_string().contains("ai-tls"));
    let own = patched(&annotated(pod.clone(), "memory", "64Mi"), &settings);
    assert_eq!(sidecar(&own)["resources"]["limits"]["memory"], "64Mi");
    pod["metadata"]["namespace"] = json!("web");
    let elsewhere = patched(&pod, &settings);
    assert_eq!(
        sidecar(&elsewhere)["resources"]["limits"]["memory"],
        "128Mi"
    );
}

#[test]
fn a_mistake_in_the_defaults_names_namespace_and_remedy() {
    for (text, parts) in [
        ("ai: {memroy: 1Gi}", ["namespace ai", "hybridge.dev/memory"]),
        ("ai: {memory: lots}", ["namespace ai", "64Mi"]),
        ("ai: {status: x}", ["namespace ai", "status"]),
        (
            "ai: {allow-shared-pid: 'true'}",
            [
                "namespace ai",
                "annotation hybridge.dev/allow-shared-pid on the pods",
            ],
        ),
        ("ai: {ports: 8000}", ["namespace ai", "quotes"]),
        (
            "ai: {memory: 64Mi, hybridge.dev/memory: 1Gi}",
            ["namespace ai", "memory is given twice"],
        ),
        ("ai: enabled", ["namespace ai", "mapping"]),
        (
            "AI: {memory: 64Mi}",
            ["\"AI\" is no name of a namespace", "lower-case"],
        ),
        ("\"a b/c\": {}", ["\"a b/c\"", "at most 63"]),
        ("team.ai: {}", ["\"team.ai\"", "at most 63"]),
        ("[ai]", ["mapping", "namespaces"]),
    ] {
        let error = NamespaceDefaults::parse(text).unwrap_err();
        for part in parts {
            assert!(error.contains(part), "{text}: {error}");
        }
    }
    assert!(NamespaceDefaults::parse("").is_ok());
}

#[test]
fn a_port_that_no_container_declares_is_warned_about() {
    let warnings = |pod: &Value| {
        let plan = plan(pod, Decision::Namespace, &Settings::default());
        plan.unwrap_or_else(|deny| panic!("{deny}")).warnings
    };
    let pod = annotated(vllm(), "mode", "explicit");
    let slip = annotated(pod.clone(), "ports", "9999");
    assert_eq!(
        warnings(&slip),
        [
            "annotation hybridge.dev/ports names 9999, which no container declares; declared are 8000 (http, vllm): nothing answers there unless the app listens on it"
        ]
    );
    assert_eq!(warnings(&annotated(pod.clone(), "ports", "8000")), [""; 0]);
    // Where none is declared, the annotation is how the port is told.
    let mut none = annotated(pod, "ports", "9999");
    none["spec"]["containers"][0]["ports"] = json!([]);
    assert_eq!(warnings(&none), [""; 0]);
}
