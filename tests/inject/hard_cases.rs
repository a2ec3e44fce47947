//! Hard cases 6 to 8, 10 to 12, 15, 16, 18 and 22: probes, absent lists, QoS, start commands, hooks.

use serde_json::{Value, json};

use crate::support::{annotated, inject, probe_table, refuse, sidecar, sidecar_env, vllm};

fn app(pod: &Value) -> &Value {
    &pod["spec"]["containers"][0]
}

fn with_app(key: &str, value: Value) -> Value {
    let mut pod = vllm();
    pod["spec"]["containers"][0][key] = value;
    pod
}

#[test]
fn a_named_probe_port_is_resolved_and_headers_and_timeout_are_kept() {
    let probe = json!({"httpGet": {"path": "/h?x=1", "port": "http", "httpHeaders": [{"name": "Host", "value": "m"}]}, "timeoutSeconds": 9, "periodSeconds": 4, "terminationGracePeriodSeconds": 3});
    let plan = inject(&with_app("livenessProbe", probe));
    let rewritten = &app(plan.patched())["livenessProbe"];
    assert_eq!(
        rewritten["httpGet"],
        json!({"path": "/probe/vllm/liveness", "port": 15400, "scheme": "HTTP"})
    );
    assert_eq!(
        (
            &rewritten["timeoutSeconds"],
            &rewritten["periodSeconds"],
            &rewritten["terminationGracePeriodSeconds"]
        ),
        (&json!(9), &json!(4), &json!(3))
    );
    assert_eq!(
        json!(probe_table(plan.patched())),
        json!([{
            "path": "/probe/vllm/liveness", "kind": "http", "address": "127.0.0.1", "port": 8000,
            "target": "/h?x=1", "headers": [{"name": "Host", "value": "m"}], "timeoutSeconds": 9
        }])
    );
}

#[test]
fn tcp_and_grpc_probes_keep_their_kind() {
    let mut pod = with_app("readinessProbe", json!({"tcpSocket": {"port": 8000}}));
    pod["spec"]["containers"][0]["livenessProbe"] =
        json!({"grpc": {"port": 8000, "service": "llm"}, "timeoutSeconds": 2});
    let table = probe_table(inject(&pod).patched());
    assert_eq!(table[0]["kind"], "tcp");
    assert_eq!(
        (&table[1]["kind"], &table[1]["service"]),
        (&json!("grpc"), &json!("llm"))
    );
}

#[test]
fn a_probe_port_name_that_does_not_exist_is_refused() {
    let deny = refuse(&with_app(
        "startupProbe",
        json!({"httpGet": {"port": "web"}}),
    ));
    assert_eq!(deny.reason(), "probe_port");
    assert!(
        deny.to_string().contains("startupProbe") && deny.to_string().contains("web"),
        "{deny}"
    );
}

#[test]
fn probes_that_do_not_ask_the_app_port_stay() {
    for probe in [
        json!({"httpGet": {"path": "/", "port": 9090}}),
        json!({"exec": {"command": ["true"]}}),
        json!({"httpGet": {"host": "example.com", "port": 8000}}),
    ] {
        let plan = inject(&with_app("readinessProbe", probe.clone()));
        assert_eq!(app(plan.patched())["readinessProbe"], probe);
        assert_eq!(sidecar_env(plan.patched(), "HYBRIDGE_PROBES"), None);
        let host = probe.pointer("/httpGet/host").is_some();
        assert_eq!(
            plan.warnings.iter().any(|w| w.contains("names a host")),
            host
        );
    }
}

#[test]
fn http_lifecycle_hooks_on_the_app_port_go_through_the_table() {
    let plan = inject(&with_app(
        "lifecycle",
        json!({"postStart": {"httpGet": {"path": "/warm", "port": "http"}}, "preStop": {"httpGet": {"path": "/stop", "port": 8000}}}),
    ));
    let table = probe_table(plan.patched());
    let paths: Vec<_> = table.iter().map(|p| p["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/probe/vllm/postStart", "/probe/vllm/preStop"]);
    // The kubelet waits for a hook; it has no timeout of its own.
    let limits: Vec<_> = table.iter().map(|p| &p["timeoutSeconds"]).collect();
    assert_eq!(limits, [0, 0]);
    assert_eq!(
        app(plan.patched())["lifecycle"]["preStop"]["httpGet"]["path"],
        "/probe/vllm/preStop"
    );
}

#[test]
fn absent_and_null_metadata_are_filled_in() {
    for metadata in [
        json!(null),
        json!({}),
        json!({"annotations": null, "labels": null}),
    ] {
        let mut pod = vllm();
        pod["metadata"] = metadata;
        let plan = inject(&pod);
        assert!(plan.patched()["metadata"]["annotations"]["hybridge.dev/status"].is_string());
    }
    let mut pod = vllm();
    pod.as_object_mut().unwrap().shift_remove("metadata");
    assert!(inject(&pod).patched()["metadata"]["annotations"]["hybridge.dev/status"].is_string());
}

#[test]
fn null_lists_are_treated_as_absent() {
    let mut pod = vllm();
    pod["spec"]["volumes"] = json!(null);
    pod["spec"]["initContainers"] = json!(null);
    pod["spec"]["containers"][0]["lifecycle"] = json!(null);
    pod["spec"]["containers"][0]["readinessProbe"] = json!(null);
    let plan = inject(&pod);
    assert_eq!(plan.patched()["spec"]["volumes"][0]["name"], "hybridge-tls");
    assert!(app(plan.patched())["lifecycle"]["preStop"].is_object());
}

#[test]
fn init_order_first_and_last_keep_the_others_in_place() {
    let inits = json!([{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}]);
    for (order, expected) in [
        ("first", ["hybridge", "a", "b"]),
        ("last", ["a", "b", "hybridge"]),
    ] {
        let mut pod = annotated(vllm(), "init-order", order);
        pod["spec"]["initContainers"] = inits.clone();
        let plan = inject(&pod);
        let list = plan.patched()["spec"]["initContainers"]
            .as_array()
            .unwrap()
            .clone();
        assert_eq!(
            list.iter()
                .map(|c| c["name"].as_str().unwrap())
                .collect::<Vec<_>>(),
            expected
        );
        let touched = serde_json::to_value(&plan.ops).unwrap();
        let inits_touched = touched
            .as_array()
            .unwrap()
            .iter()
            .filter(|op| {
                op["path"]
                    .as_str()
                    .unwrap()
                    .starts_with("/spec/initContainers")
            })
            .count();
        assert_eq!(inits_touched, 1);
    }
}

#[test]
fn a_guaranteed_pod_stays_guaranteed_and_a_burstable_one_gets_no_cpu_limit() {
    let guaranteed = with_app(
        "resources",
        json!({"limits": {"cpu": "8", "memory": "8Gi"}}),
    );
    let resources = sidecar(inject(&guaranteed).patched())["resources"].clone();
    assert_eq!(resources["limits"], resources["requests"]);
    assert_eq!(
        resources["limits"],
        json!({"memory": "128Mi", "cpu": "100m"})
    );
    assert_eq!(
        sidecar(inject(&vllm()).patched())["resources"]["limits"].get("cpu"),
        None
    );
}

#[test]
fn a_quota_on_limits_and_a_limit_range_minimum_can_be_met() {
    let pod = annotated(
        annotated(annotated(vllm(), "cpu-limit", "500m"), "memory", "128Mi"),
        "cpu-request",
        "250m",
    );
    assert_eq!(
        sidecar(inject(&pod).patched())["resources"],
        json!({"limits": {"memory": "128Mi", "cpu": "500m"}, "requests": {"cpu": "250m", "memory": "128Mi"}})
    );
}

#[test]
fn the_sidecar_meets_pod_security_restricted() {
    let plan = inject(&vllm());
    let context = &sidecar(plan.patched())["securityContext"];
    assert_eq!(context["allowPrivilegeEscalation"], false);
    assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}));
    assert_eq!(context["runAsNonRoot"], true);
    assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(context["readOnlyRootFilesystem"], true);
    let volume = &plan.patched()["spec"]["volumes"][0];
    assert_eq!(volume["projected"]["defaultMode"], 0o444);
    assert_eq!(
        plan.patched()["spec"].pointer("/securityContext/fsGroup"),
        None
    );
}

#[test]
fn an_existing_pre_stop_is_kept_and_said() {
    let hook = json!({"preStop": {"exec": {"command": ["sleep", "5"]}}});
    let plan = inject(&with_app("lifecycle", hook.clone()));
    assert_eq!(app(plan.patched())["lifecycle"], hook);
    assert!(plan.warnings.iter().any(|w| w.contains("no drain gate")));
}

#[test]
fn the_drain_gate_fits_into_the_grace_period() {
    for (grace, expected) in [
        (json!(null), "23s"),
        (json!(600), "120s"),
        (json!(60), "53s"),
    ] {
        let mut pod = vllm();
        pod["spec"]["terminationGracePeriodSeconds"] = grace;
        let plan = inject(&pod);
        assert_eq!(
            app(plan.patched())["lifecycle"]["preStop"]["httpGet"]["path"],
            format!("/drain/wait?timeout={expected}")
        );
        assert_eq!(
            sidecar_env(plan.patched(), "HYBRIDGE_DRAIN_TIMEOUT").as_deref(),
            Some(expected)
        );
    }
    let mut short = vllm();
    short["spec"]["terminationGracePeriodSeconds"] = json!(5);
    let plan = inject(&short);
    assert_eq!(app(plan.patched()).get("lifecycle"), None);
    assert!(plan.warnings.iter().any(|w| w.contains("no room")));
}

#[test]
fn takeover_changes_no_port_that_a_service_could_name() {
    let pod = vllm();
    let plan = inject(&pod);
    assert_eq!(app(plan.patched())["ports"], app(&pod)["ports"]);
    assert_eq!(
        sidecar(plan.patched())["ports"],
        json!([{"name": "pq-admin", "containerPort": 15400, "protocol": "TCP"}])
    );
    assert_eq!(
        sidecar_env(plan.patched(), "HYBRIDGE_PORTS").as_deref(),
        Some("8000=127.0.0.1:8000")
    );
}

#[test]
fn explicit_mode_offers_a_named_port_and_leaves_the_app_alone() {
    let mut pod = annotated(annotated(vllm(), "mode", "explicit"), "ports", "8000,8001");
    pod["spec"]["containers"][0]["ports"] =
        json!([{"containerPort": 8000}, {"containerPort": 8001}]);
    pod["spec"]["containers"][0]["readinessProbe"] = json!({"httpGet": {"port": 8000}});
    let plan = inject(&pod);
    let names: Vec<_> = sidecar(plan.patched())["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| {
            (
                p["name"].as_str().unwrap().to_owned(),
                p["containerPort"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            ("pq-admin".to_owned(), 15400),
            ("pq-tls".into(), 8443),
            ("pq-tls-2".into(), 8444)
        ]
    );
    assert_eq!(
        sidecar_env(plan.patched(), "HYBRIDGE_PORTS").as_deref(),
        Some("8443=127.0.0.1:8000,8444=127.0.0.1:8001")
    );
    assert_eq!(app(plan.patched())["args"], app(&pod)["args"]);
    assert_eq!(
        app(plan.patched())["readinessProbe"],
        app(&pod)["readinessProbe"]
    );
}

#[test]
fn every_address_of_the_pod_is_handed_to_the_sidecar() {
    let plan = inject(&vllm());
    let env = sidecar(plan.patched())["env"].as_array().unwrap().clone();
    assert_eq!(
        env[0],
        json!({"name": "POD_IPS", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIPs"}}})
    );
    assert!(
        !env.iter()
            .any(|e| e["value"].as_str().is_some_and(|v| v.contains("$("))),
        "no expansion, which breaks with two addresses"
    );
}

#[test]
fn a_port_below_1024_is_warned_about() {
    let mut pod = vllm();
    pod["spec"]["containers"][0]["ports"] = json!([{"containerPort": 80}]);
    assert!(
        inject(&pod)
            .warnings
            .iter()
            .any(|w| w.contains("ip_unprivileged_port_start"))
    );
}
