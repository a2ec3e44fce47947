//! Hard cases 1, 2, 3 and 9: the second review, what other webhooks did in between, and forgeries.

use hybridge::inject::{Decision, Settings, plan};
use serde_json::{Value, json};

use crate::support::{
    annotated, apply, captured, files, inject, pod, probe_table, refuse, sidecar, stem, vllm,
};

/// Every pod of the test data that is accepted.
fn accepted() -> Vec<(String, Value)> {
    let shapes = files("pods", ".yaml")
        .into_iter()
        .map(|path| (stem(&path), pod(&stem(&path))));
    let reviews = captured()
        .into_iter()
        .map(|(name, review)| (name, review["request"]["object"].clone()));
    shapes
        .chain(reviews)
        .filter(|(_, pod)| plan(pod, Decision::Namespace, &Settings::default()).is_ok())
        .collect()
}

fn list_mut<'a>(pod: &'a mut Value, pointer: &str) -> &'a mut Vec<Value> {
    pod.pointer_mut(pointer)
        .and_then(Value::as_array_mut)
        .unwrap()
}

fn sidecar_mut(pod: &mut Value) -> &mut Value {
    list_mut(pod, "/spec/initContainers")
        .iter_mut()
        .find(|c| c["name"] == "hybridge")
        .unwrap()
}

#[test]
fn the_same_pod_twice_gives_no_operation() {
    let pods = accepted();
    assert!(pods.len() >= 15, "{}", pods.len());
    for (name, pod) in pods {
        let once = apply(&pod, &inject(&pod));
        let again = inject(&once);
        assert!(again.ops.is_empty(), "{name}: {}", json!(again.ops));
        assert!(again.injected);
    }
}

#[test]
fn the_second_call_of_a_real_api_server_gives_no_operation() {
    let (_, mut review) = captured()
        .into_iter()
        .find(|(name, _)| name == "replicaset-llama-first-call")
        .unwrap();
    let pod = annotated(review["request"]["object"].take(), "drain-timeout", "50s");
    let mut second = apply(&pod, &inject(&pod));
    // As in replicaset-llama-second-call.json: the ServiceAccount plugin ran again over our container.
    let token = json!({"name": "kube-api-access-sz4ls", "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"});
    list_mut(sidecar_mut(&mut second), "/volumeMounts").push(token);
    assert_eq!(json!(inject(&second).ops), json!([]));
}

#[test]
fn what_admission_plugins_add_to_the_sidecar_stays() {
    let mut pod = apply(&vllm(), &inject(&vllm()));
    let ours = sidecar_mut(&mut pod);
    ours["imagePullPolicy"] = json!("Always");
    ours["resources"]["limits"]["cpu"] = json!("1");
    ours["resources"]["limits"]["ephemeral-storage"] = json!("1Gi");
    ours["securityContext"]["seLinuxOptions"] = json!({"level": "s0:c1"});
    list_mut(ours, "/env").push(json!({"name": "NODE_EXTRA", "value": "1"}));
    assert_eq!(json!(inject(&pod).ops), json!([]));
}

#[test]
fn a_late_container_gets_its_probe_rewritten() {
    let mut pod = apply(&vllm(), &inject(&vllm()));
    list_mut(&mut pod, "/spec/containers").push(json!({
        "name": "late", "image": "late:1",
        "readinessProbe": {"httpGet": {"path": "/v1/models", "port": 8000}, "timeoutSeconds": 7},
    }));
    let plan = inject(&pod);
    let patched = apply(&pod, &plan);
    assert_eq!(
        patched["spec"]["containers"][1]["readinessProbe"]["httpGet"]["path"],
        "/probe/late/readiness"
    );
    let table = probe_table(&patched);
    let entry = table
        .iter()
        .find(|p| p["path"] == "/probe/late/readiness")
        .unwrap();
    assert_eq!(
        (entry["target"].as_str(), entry["timeoutSeconds"].as_u64()),
        (Some("/v1/models"), Some(7))
    );
    assert!(inject(&patched).ops.is_empty());
}

#[test]
fn a_late_sidecar_with_ports_does_not_undo_the_choice_of_the_port() {
    let mut pod = apply(&vllm(), &inject(&vllm()));
    list_mut(&mut pod, "/spec/containers")
        .push(json!({"name": "exporter", "image": "e:1", "ports": [{"containerPort": 9100}]}));
    assert!(inject(&pod).ops.is_empty());
}

#[test]
fn a_stripped_restart_policy_is_repaired() {
    let mut pod = apply(&vllm(), &inject(&vllm()));
    sidecar_mut(&mut pod)
        .as_object_mut()
        .unwrap()
        .shift_remove("restartPolicy");
    let patched = apply(&pod, &inject(&pod));
    assert_eq!(sidecar(&patched)["restartPolicy"], "Always");
}

#[test]
fn a_forged_sidecar_and_status_are_overwritten() {
    let clean = apply(&vllm(), &inject(&vllm()));
    let mut forged = clean.clone();
    forged["metadata"]["annotations"]["hybridge.dev/status"] =
        json!(r#"{"v":"9","mode":"takeover","ports":[9999],"sha":"0"}"#);
    forged["spec"]["volumes"][0] = json!({"name": "hybridge-tls", "emptyDir": {}});
    let ours = sidecar_mut(&mut forged);
    ours["command"] = json!(["/bin/sleep", "infinity"]);
    ours["image"] = json!("evil:1");
    ours["securityContext"] = json!({"privileged": true});
    let env = list_mut(ours, "/env");
    env.iter_mut()
        .find(|e| e["name"] == "HYBRIDGE_POLICY")
        .unwrap()["value"] = json!("classical-only");
    env.push(json!({"name": "HYBRIDGE_UNSAFE_REMOTE_UPSTREAM", "value": "true"}));
    list_mut(ours, "/volumeMounts").push(json!({"name": "x", "mountPath": "/hybridge"}));
    assert_eq!(apply(&forged, &inject(&forged)), clean);
}

/// While the injector is upgraded, the two reviews of one pod may be answered by two versions, and
/// manifests that an older version injected offline go on being applied.
#[test]
fn a_sidecar_of_another_version_becomes_one_of_this_version() {
    for older in [true, false] {
        let mut probed = vllm();
        probed["spec"]["containers"][0]["readinessProbe"] =
            json!({"httpGet": {"path": "/health", "port": 8000}});
        let here = apply(&probed, &inject(&probed));
        let other = Settings {
            image: "localhost/hybridge:9.9.9".into(),
            ..Settings::default()
        };
        let plan_there = plan(&probed, Decision::Namespace, &other).unwrap();
        let mut there = apply(&probed, &plan_there);
        there["metadata"]["annotations"]["hybridge.dev/status"] =
            json!(r#"{"v":"9.9.9","mode":"takeover","ports":[8000],"sha":"0","new":true}"#);
        let env = list_mut(sidecar_mut(&mut there), "/env");
        if older {
            env.retain(|e| e["name"] != "HYBRIDGE_MAX_CONNECTIONS");
        } else {
            env.push(json!({"name": "HYBRIDGE_OF_THE_FUTURE", "value": "1"}));
        }
        let result = apply(&there, &inject(&there));
        assert_eq!(sidecar(&result)["image"], "localhost/hybridge:0.1.0");
        assert_eq!(probe_table(&result), probe_table(&here));
        let names = |pod: &Value| -> Vec<String> {
            let mut names: Vec<_> = sidecar(pod)["env"]
                .as_array()
                .unwrap()
                .iter()
                .map(|e| e["name"].to_string())
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(&result), names(&here));
        assert!(inject(&result).ops.is_empty());
    }
}

#[test]
fn every_seed_of_the_fuzz_target_is_a_pod_that_is_accepted() {
    let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/plan");
    let mut count = 0;
    for entry in std::fs::read_dir(seeds).unwrap() {
        let path = entry.unwrap().path();
        let pod: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert!(inject(&pod).injected, "{}", path.display());
        count += 1;
    }
    assert!(count >= 5, "{count}");
}

#[test]
fn a_forged_status_without_a_sidecar_is_overwritten() {
    let forged = annotated(vllm(), "status", "{\"ports\":[1]}");
    assert_eq!(
        apply(&forged, &inject(&forged)),
        apply(&vllm(), &inject(&vllm()))
    );
}

#[test]
fn a_forged_probe_table_cannot_lead_out_of_the_pod() {
    let mut probed = vllm();
    probed["spec"]["containers"][0]["readinessProbe"] =
        json!({"httpGet": {"path": "/health", "port": 8000}});
    let mut pod = apply(&probed, &inject(&probed));
    let env = list_mut(sidecar_mut(&mut pod), "/env");
    let table = env
        .iter_mut()
        .find(|e| e["name"] == "HYBRIDGE_PROBES")
        .unwrap();
    table["value"] = json!(
        table["value"]
            .as_str()
            .unwrap()
            .replace("127.0.0.1", "169.254.169.254")
    );
    assert_eq!(refuse(&pod).reason(), "probe_table");
}

/// An earlier version gave hooks the second of a probe without one; and a manifest that was injected offline
/// is edited like any other.
#[test]
fn the_timeout_of_a_call_that_was_rewritten_before_is_read_again() {
    let mut pod = vllm();
    pod["spec"]["containers"][0]["livenessProbe"] =
        json!({"httpGet": {"path": "/live", "port": 8000}, "timeoutSeconds": 1});
    pod["spec"]["containers"][0]["lifecycle"] =
        json!({"preStop": {"httpGet": {"path": "/stop", "port": 8000}}});
    let mut injected = inject(&pod).patched().clone();
    injected["spec"]["containers"][0]["livenessProbe"]["timeoutSeconds"] = json!(10);
    let text = json!(probe_table(&injected)).to_string();
    let earlier = text.replace("\"timeoutSeconds\":0", "\"timeoutSeconds\":1");
    assert_ne!(text, earlier);
    let env = list_mut(sidecar_mut(&mut injected), "/env");
    let table = env.iter_mut().find(|e| e["name"] == "HYBRIDGE_PROBES");
    table.unwrap()["value"] = json!(earlier);
    let again = inject(&injected).patched().clone();
    let limit = |path: &str| {
        let table = probe_table(&again);
        let entry = table.iter().find(|entry| entry["path"] == path).unwrap();
        entry["timeoutSeconds"].clone()
    };
    assert_eq!(limit("/probe/vllm/liveness"), 10);
    assert_eq!(limit("/probe/vllm/preStop"), 0);
}

#[test]
fn a_container_or_volume_that_merely_has_our_name_is_refused() {
    let mut container = vllm();
    container["spec"]["initContainers"] =
        json!([{"name": "hybridge", "image": "localhost/hybridge:0.1.0"}]);
    assert_eq!(refuse(&container).reason(), "name_taken");
    let mut app = annotated(vllm(), "status", "{}");
    app["spec"]["containers"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "hybridge", "image": "x:1"}));
    assert_eq!(refuse(&app).reason(), "name_taken");
    let mut volume = vllm();
    for name in [
        "hybridge-tls",
        "hybridge-spiffe",
        "hybridge-opened",
        "hybridge-sealed-keys",
    ] {
        volume["spec"]["volumes"] = json!([{"name": name, "emptyDir": {}}]);
        let deny = refuse(&volume);
        assert_eq!(deny.reason(), "name_taken");
        assert!(deny.to_string().contains(name), "{deny}");
    }
    let opener = json!([{"name": "hybridge-open", "image": "x:1"}]);
    for pod in [vllm(), pod("sealed")] {
        let mut init = pod.clone();
        init["spec"]["initContainers"] = opener.clone();
        assert_eq!(refuse(&init).reason(), "name_taken");
        let mut beside = annotated(pod, "status", "{}");
        let apps = list_mut(&mut beside, "/spec/containers");
        apps.push(opener[0].clone());
        assert_eq!(refuse(&beside).reason(), "name_taken");
    }
}
