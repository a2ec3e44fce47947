//! `hybridge inject --remove`: the way back, and in again.

use hybridge::inject::{Decision, Settings, plan, remove};
use serde_json::{Value, json};

use crate::support::{annotated, files, inject, pod, stem, vllm};

fn removed(pod: &Value) -> Value {
    let plan = remove(pod, &Settings::default()).unwrap_or_else(|deny| panic!("denied: {deny}"));
    plan.patched().clone()
}

#[test]
fn what_was_injected_is_taken_out_and_put_in_again_alike() {
    let mut tried = 0;
    for path in files("pods", ".yaml") {
        let name = stem(&path);
        let Ok(injected) = plan(&pod(&name), Decision::Namespace, &Settings::default()) else {
            continue;
        };
        tried += 1;
        let out = removed(injected.patched());
        let text = out.to_string();
        for trace in [
            "15400",
            "hybridge-tls",
            "hybridge-open",
            "hybridge-sealed",
            "\"hybridge\"",
            "hybridge.dev/status",
        ] {
            assert!(!text.contains(trace), "{name}: {trace} is left in {out:#}");
        }
        assert_eq!(inject(&out).patched(), injected.patched(), "{name}");
        assert_eq!(removed(&out), out, "{name}: a second removal");
    }
    assert!(tried > 20, "{tried}");
}

#[test]
fn a_pod_that_listened_everywhere_is_what_it_was() {
    let mut before = vllm();
    before["spec"]["containers"][0]["livenessProbe"] =
        json!({"httpGet": {"path": "/health", "port": 8000, "scheme": "HTTP"}, "periodSeconds": 7});
    before["metadata"]["annotations"] = json!({"a": "b"});
    assert_eq!(removed(inject(&before).patched()), before);
}

#[test]
fn what_cannot_be_known_is_said() {
    let named = annotated(vllm(), "bind-env", "ADDRESS");
    let plan = remove(inject(&named).patched(), &Settings::default()).unwrap();
    assert!(
        plan.warnings.iter().any(|w| w.contains("ADDRESS")),
        "{:?}",
        plan.warnings
    );
}
