//! Pods as real inference stacks make them (files of `pods/`, in our own words): which are injected, and
//! which are refused for what reason. The patches themselves are the golden files.

use hybridge::inject::{Decision, Settings, plan};
use serde_json::json;

use crate::support::{inject, pod, probe_table, refuse};

const REFUSED: &[(&str, &str, &str)] = &[
    ("production-stack-unchosen", "ports_required", "55555"),
    (
        "llm-d-decode",
        "not_movable",
        "native sidecar \"routing-proxy\"",
    ),
    (
        "llm-d-decode-unchosen",
        "ports_required",
        "8000 (sidecar, routing-proxy)",
    ),
    (
        "kserve-llm-decode",
        "not_movable",
        "native sidecar \"llm-d-routing-sidecar\"",
    ),
    ("lws-sglang-worker", "no_server", "inject: disabled"),
    ("nim", "not_movable", "mode: explicit"),
    ("tf-serving", "not_movable", "mode: explicit"),
    ("client-vllm-bench", "ports_required", "inject: disabled"),
    ("client-ollama-pull", "ports_required", "inject: disabled"),
    ("unknown-server", "unknown_server", "bind-env"),
    ("rendezvous", "unknown_server", "inject: disabled"),
    ("acme-solver", "no_server", "ACME"),
];

#[test]
fn what_cannot_be_protected_is_refused_with_the_way_out() {
    for (name, reason, remedy) in REFUSED {
        let deny = refuse(&pod(name));
        assert_eq!(deny.reason(), *reason, "{name}: {deny}");
        assert!(deny.to_string().contains(remedy), "{name}: {deny}");
    }
}

/// What moves the server of each shape to loopback: an argument, or a variable.
const MOVED: &[(&str, &str)] = &[
    ("production-stack-engine", "--host 127.0.0.1"),
    ("production-stack-router", "--host 127.0.0.1"),
    ("llm-d-prefill", "--host 127.0.0.1"),
    ("kserve-triton", "--grpc-address 127.0.0.1"),
    ("kserve-mlserver", "MLSERVER_HOST=127.0.0.1"),
    ("lws-sglang-leader", "--host 127.0.0.1"),
    ("kuberay-head", "RAY_SERVE_DEFAULT_HTTP_HOST=127.0.0.1"),
    ("tei", "--hostname 127.0.0.1"),
    ("trtllm", "--host 127.0.0.1"),
    ("lmdeploy", "--server-name 127.0.0.1"),
    ("litellm", "--host 127.0.0.1"),
    ("open-webui", "HOST=127.0.0.1"),
    ("dynamo-frontend", "DYN_HTTP_HOST=127.0.0.1"),
    ("aibrix-engine", "--host 127.0.0.1"),
    ("triton-chart", "--http-address 127.0.0.1"),
];

#[test]
fn every_known_server_is_moved_by_its_own_setting() {
    for (name, setting) in MOVED {
        let plan = inject(&pod(name));
        let app = &plan.patched()["spec"]["containers"][0];
        let words = ["command", "args"]
            .iter()
            .filter_map(|list| app[*list].as_array())
            .flatten()
            .filter_map(|word| word.as_str());
        let words: Vec<&str> = words.collect();
        let env = app["env"].as_array().into_iter().flatten();
        let env: Vec<String> = env
            .map(|e| {
                format!(
                    "{}={}",
                    e["name"].as_str().unwrap(),
                    e["value"].as_str().unwrap()
                )
            })
            .collect();
        let found = words.join(" ").contains(setting) || env.iter().any(|e| e == setting);
        assert!(found, "{name}: {words:?} {env:?}");
    }
}

#[test]
fn ports_that_triton_is_told_are_the_ones_that_are_moved_and_named() {
    let plan = inject(&pod("kserve-triton"));
    let probes = probe_table(plan.patched());
    let ports: Vec<_> = probes.iter().map(|probe| &probe["port"]).collect();
    assert_eq!(ports, [&json!(9000), &json!(8080)], "{probes:?}");
    assert!(
        plan.warnings.iter().any(|w| w.contains("port 9000")),
        "{:?}",
        plan.warnings
    );
    assert!(
        !plan.warnings.iter().any(|w| w.contains("8001")),
        "{:?}",
        plan.warnings
    );
}

#[test]
fn both_fronts_see_one_grpc_probe_whose_service_is_empty_or_absent() {
    let with = inject(&pod("kserve-triton"));
    let mut without = pod("kserve-triton");
    let probe = without["spec"]["containers"][0]["readinessProbe"]["grpc"].as_object_mut();
    probe.unwrap().remove("service");
    let without = inject(&without);
    let status = |plan: &hybridge::inject::Plan| {
        plan.patched()["metadata"]["annotations"]["hybridge.dev/status"].clone()
    };
    assert_eq!(status(&with), status(&without));
}

#[test]
fn a_port_of_a_native_sidecar_can_be_put_behind_a_port_of_our_own() {
    for name in ["llm-d-decode-explicit", "nim-explicit"] {
        let plan = plan(&pod(name), Decision::Namespace, &Settings::default()).unwrap();
        let env = &crate::support::sidecar_env(plan.patched(), "HYBRIDGE_PORTS");
        assert_eq!(env.as_deref(), Some("8443=127.0.0.1:8000"), "{name}");
    }
}
#[test]
fn another_proxy_in_the_pod_is_warned_about_with_its_exclusions() {
    for name in ["istio-proxy", "linkerd-proxy"] {
        let mut meshed = crate::support::vllm();
        let containers = meshed["spec"]["containers"].as_array_mut().unwrap();
        containers.push(serde_json::json!({"name": name, "image": "mesh.example/proxy:1"}));
        let plan = inject(&meshed);
        let warning = plan.warnings.iter().find(|text| text.contains(name));
        let warning = warning.unwrap_or_else(|| panic!("{:?}", plan.warnings));
        assert!(warning.contains("excludeInboundPorts"), "{warning}");
        assert!(warning.contains("skip-inbound-ports"), "{warning}");
    }
}

#[test]
fn resources_of_the_pod_itself_need_room_for_the_sidecar() {
    for (resources, warned) in [
        (
            serde_json::json!({"requests": {"cpu": "1", "memory": "1Gi"}}),
            true,
        ),
        (serde_json::json!({"limits": {"memory": "1Gi"}}), true),
        (serde_json::json!({}), false),
        (serde_json::json!(null), false),
    ] {
        let mut sized = crate::support::vllm();
        sized["spec"]["resources"] = resources.clone();
        let plan = inject(&sized);
        let warning = plan
            .warnings
            .iter()
            .find(|text| text.contains("spec.resources"));
        assert_eq!(warning.is_some(), warned, "{resources}");
        if let Some(warning) = warning {
            assert!(warning.contains("cpu 100m and memory 128Mi"), "{warning}");
        }
        assert_eq!(plan.patched()["spec"]["resources"], resources);
        // The pod's own amounts decide its class, so the sidecar needs no limit of cpu for it.
        let limits = &crate::support::sidecar(plan.patched())["resources"]["limits"];
        assert_eq!(limits.get("cpu"), None);
    }
}
