//! The planner over any JSON, and over pods with arbitrary parts: it never panics, its patch always
//! applies, and a second run is empty.
#![no_main]

use hybridge::inject::{Decision, Settings, plan, read_yaml};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // JSON is tried first: it is what the webhook reads. YAML is what the offline front reads.
    let Ok(pod) = serde_json::from_str::<Value>(text).or_else(|_| read_yaml(text)) else {
        return;
    };
    for decision in [Decision::Namespace, Decision::Object] {
        check(&pod, decision);
    }
});

fn check(pod: &Value, decision: Decision) {
    let settings = Settings::default();
    let Ok(first) = plan(pod, decision, &settings) else {
        return;
    };
    let mut patched = pod.clone();
    json_patch::patch(&mut patched, &first.ops).expect("the patch applies");
    assert_eq!(&patched, first.patched());
    if first.injected {
        let second = plan(&patched, decision, &settings).expect("the result is accepted");
        assert!(second.ops.is_empty(), "the second run changes nothing");
    }
}
