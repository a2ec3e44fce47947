//! Hard cases 4, 5 and 24: pods that are refused, each with a message that names the remedy.

use hybridge::inject::{Decision, Settings, plan};
use serde_json::{Value, json};

use crate::support::{annotated, inject, refuse, vllm};

fn with(key: &str, value: Value) -> Value {
    let mut pod = vllm();
    pod["spec"][key] = value;
    pod
}

#[test]
fn pods_in_which_loopback_or_key_are_not_private_are_refused() {
    for (pod, reason) in [
        (with("hostNetwork", json!(true)), "host_network"),
        (with("os", json!({"name": "windows"})), "windows"),
        (
            with("nodeSelector", json!({"kubernetes.io/os": "windows"})),
            "windows",
        ),
        (with("shareProcessNamespace", json!(true)), "shared_pid"),
        (with("hostPID", json!(true)), "shared_pid"),
    ] {
        assert_eq!(refuse(&pod).reason(), reason);
    }
}

#[test]
fn a_shared_process_namespace_can_be_accepted_with_a_warning() {
    let plan = inject(&annotated(
        with("shareProcessNamespace", json!(true)),
        "allow-shared-pid",
        "true",
    ));
    assert!(
        plan.warnings.iter().any(|w| w.contains("/proc")),
        "{:?}",
        plan.warnings
    );
}

#[test]
fn a_wrong_annotation_is_refused_with_the_right_one() {
    for (name, value, reason, remedy) in [
        ("port", "8000", "unknown_annotation", "hybridge.dev/ports"),
        (
            "tls-secert",
            "x",
            "unknown_annotation",
            "hybridge.dev/tls-secret",
        ),
        ("inject", "enabled", "unknown_annotation", "metadata.labels"),
        (
            "quite-unheard-of",
            "x",
            "unknown_annotation",
            "known are ports",
        ),
        ("mode", "sidecar", "annotation_value", "takeover, explicit"),
        ("ports", "80000", "annotation_value", "1 to 65535"),
        ("ports", "8000,", "annotation_value", "separated by commas"),
        ("ports", "grpc", "annotation_value", "8000 (http, vllm)"),
        ("ports", "8000,8000", "port_conflict", "twice"),
        ("ports", "15400", "port_conflict", "sidecar's own"),
        ("memory", "64", "annotation_value", "at least 32Mi"),
        ("listen-port", "9443", "annotation_value", "mode: explicit"),
        (
            "tls-secret",
            "UPPER",
            "annotation_value",
            "name of a Secret",
        ),
        ("cpu-request", "100 m", "annotation_value", "100m"),
        ("memory", "0", "annotation_value", "64Mi"),
        ("cpu-limit", "50m", "annotation_value", "cpu-request"),
        ("drain-timeout", "20", "annotation_value", "90s"),
        (
            "drain-timeout",
            "30s",
            "drain_exceeds_grace",
            "= 37s, but terminationGracePeriodSeconds is 30",
        ),
        ("policy", "pq", "annotation_value", "hybrid-required"),
        ("bind-env", "1X", "annotation_value", "NAME=value"),
        ("allow-shared-pid", "yes", "annotation_value", "\"true\""),
        // The policies, which read it too, do not trim.
        (
            "allow-shared-pid",
            " true ",
            "annotation_value",
            "without spaces",
        ),
    ] {
        let deny = refuse(&annotated(vllm(), name, value));
        assert_eq!(deny.reason(), reason, "{name}: {value}");
        assert!(deny.to_string().contains(remedy), "{name}: {value}: {deny}");
    }
}

#[test]
fn two_ports_need_a_choice_and_the_message_lists_them() {
    let mut pod = vllm();
    pod["spec"]["containers"][0]["ports"] = json!([{"containerPort": 8000}, {"containerPort": 9000, "name": "m"}, {"containerPort": 53, "protocol": "UDP"}]);
    let deny = refuse(&pod);
    assert_eq!(deny.reason(), "ports_required");
    assert!(
        deny.to_string().contains("8000 (vllm), 9000 (m, vllm)"),
        "{deny}"
    );
    inject(&annotated(pod, "ports", "8000"));
}

#[test]
fn a_port_without_an_owner_is_refused() {
    let mut pod = vllm();
    pod["spec"]["containers"] =
        json!([{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}]);
    assert_eq!(refuse(&pod).reason(), "ports_required");
    assert_eq!(
        refuse(&annotated(pod, "ports", "8000")).reason(),
        "ports_required"
    );
}

#[test]
fn a_listen_port_that_is_taken_is_refused() {
    let explicit = annotated(vllm(), "mode", "explicit");
    for port in ["8000", "15400"] {
        assert_eq!(
            refuse(&annotated(explicit.clone(), "listen-port", port)).reason(),
            "port_conflict"
        );
    }
    assert_eq!(
        refuse(&annotated(explicit, "listen-port", "8443,8444")).reason(),
        "port_conflict"
    );
}

#[test]
fn knative_is_refused_unless_the_sidecar_has_its_own_port() {
    let mut pod = vllm();
    pod["spec"]["containers"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "queue-proxy", "image": "q:1", "ports": [{"containerPort": 8012}]}));
    assert_eq!(refuse(&pod).reason(), "queue_proxy");
    let plan = inject(&annotated(pod.clone(), "mode", "explicit"));
    assert_eq!(
        plan.patched()["spec"]["containers"][1],
        pod["spec"]["containers"][1]
    );
}

#[test]
fn an_app_that_serves_tls_itself_is_refused() {
    let mut flag = vllm();
    flag["spec"]["containers"][0]["args"] = json!(["--ssl-certfile=/tls.crt"]);
    assert_eq!(refuse(&flag).reason(), "app_serves_tls");
    let mut probe = vllm();
    probe["spec"]["containers"][0]["readinessProbe"] =
        json!({"httpGet": {"port": 8000, "scheme": "HTTPS"}});
    assert_eq!(refuse(&probe).reason(), "app_serves_tls");
}

#[test]
fn nobody_else_may_mount_the_key() {
    let mut pod = vllm();
    pod["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "hybridge-tls", "mountPath": "/x"}]);
    assert_eq!(refuse(&pod).reason(), "tls_volume_shared");
}

#[test]
fn clusters_before_native_sidecars_are_refused_or_served_a_plain_container_on_request() {
    let old = Settings {
        kubernetes_version: 28,
        ..Settings::default()
    };
    let deny = plan(&vllm(), Decision::Object, &old);
    assert!(deny.is_ok_and(|p| !p.injected));
    let Err(deny) = plan(&vllm(), Decision::Namespace, &old) else {
        panic!("accepted")
    };
    assert_eq!(deny.reason(), "native_unsupported");
    assert!(deny.to_string().contains("1.29"));

    let plain = Settings {
        plain_container: true,
        ..old
    };
    let accepted = plan(&vllm(), Decision::Namespace, &plain).unwrap();
    let containers = accepted.patched()["spec"]["containers"].as_array().unwrap();
    assert_eq!(
        (containers.len(), containers[0]["name"].as_str()),
        (2, Some("vllm"))
    );
    assert_eq!(containers[1].get("restartPolicy"), None);
    assert!(accepted.warnings.iter().any(|w| w.contains("cut")));
    assert!(
        plan(accepted.patched(), Decision::Namespace, &plain)
            .unwrap()
            .ops
            .is_empty()
    );

    let mut twice = vllm();
    twice["spec"]["containers"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "hybridge", "image": "own:1"}));
    assert_eq!(refuse(&twice).reason(), "name_taken");

    let Err(job) = plan(
        &with("restartPolicy", json!("Never")),
        Decision::Namespace,
        &plain,
    ) else {
        panic!("accepted")
    };
    assert!(job.to_string().contains("Job"), "{job}");
}

#[test]
fn what_is_no_pod_is_refused_not_guessed_at() {
    for pod in [
        json!(null),
        json!([]),
        json!({}),
        json!({"spec": {}}),
        json!({"spec": {"containers": []}}),
        json!({"spec": {"containers": [{}]}}),
        json!({"spec": {"containers": {"name": "a"}}}),
        json!({"metadata": {"annotations": {"a": 1}}, "spec": {"containers": [{"name": "a"}]}}),
        json!({"metadata": {"labels": "x"}, "spec": {"containers": [{"name": "a"}]}}),
        json!({"spec": {"containers": [{"name": "a"}], "volumes": "x"}}),
    ] {
        assert_eq!(refuse(&pod).reason(), "malformed", "{pod}");
    }
}

#[test]
fn a_probe_that_cannot_be_sent_as_it_is_is_refused() {
    for action in [
        json!({"path": "/a b", "port": 8000}),
        json!({"port": 8000, "httpHeaders": [{"name": "a", "value": "b\r\nc: d"}]}),
    ] {
        let mut pod = vllm();
        pod["spec"]["containers"][0]["readinessProbe"] = json!({"httpGet": action});
        assert_eq!(refuse(&pod).reason(), "probe_table");
    }
}
