//! Variables by which the app learns of its egress: one may be a credential, so nothing repeats a value.

use hybridge::inject::{Decision, Settings, plan, remove};
use serde_json::{Value, json};

use crate::egress::with_egress;
use crate::support::{annotated, refuse, vllm};

const ASKED: &str = "Hunter2Pw";
const OWN: &str = "correct-horse-battery";

fn with_env(annotation: &str, env: Value) -> Value {
    let mut pod = annotated(with_egress(vllm()), "egress-env", annotation);
    pod["spec"]["containers"][0]["env"] = env;
    pod
}

#[test]
fn a_refusal_names_the_variable_and_both_places_and_no_value() {
    let own = json!([{"name": "API_TOKEN", "value": OWN}]);
    let text = refuse(&with_env(&format!("API_TOKEN={ASKED}"), own)).to_string();
    for named in ["API_TOKEN", "hybridge.dev/egress-env", "container \"vllm\""] {
        assert!(text.contains(named), "{text}");
    }
    assert!(!text.contains(ASKED) && !text.contains(OWN), "{text}");
    for annotation in [
        ASKED.to_owned(),
        format!("1TOKEN={ASKED}"),
        format!("A={ASKED},A={OWN}"),
    ] {
        let text = refuse(&with_env(&annotation, json!([]))).to_string();
        assert!(text.contains("hybridge.dev/egress-env"), "{text}");
        assert!(!text.contains(ASKED) && !text.contains(OWN), "{text}");
    }
}

#[test]
fn steps_and_warnings_name_the_variable_and_no_value() {
    let asked = with_env(&format!("API_TOKEN={ASKED}"), json!([]));
    let plan = plan(&asked, Decision::Namespace, &Settings::default()).unwrap();
    let steps: Vec<String> = plan
        .explanation
        .iter()
        .map(|step| format!("{}: {}", step.what, step.why))
        .chain(plan.warnings.iter().cloned())
        .collect();
    assert!(
        steps.iter().any(|step| step.contains("API_TOKEN")),
        "{steps:?}"
    );
    let removed = remove(plan.patched(), &Settings::default()).unwrap();
    let said = [steps, removed.warnings.clone()].concat();
    assert!(!said.iter().any(|text| text.contains(ASKED)), "{said:?}");
}

#[test]
fn a_variable_with_another_value_is_refused_and_not_overwritten() {
    let asked = annotated(with_egress(vllm()), "egress-env", "MASTER_ADDR=127.0.1.1");
    for (entry, said) in [
        (
            json!({"name": "MASTER_ADDR", "value": "train-0"}),
            "another value",
        ),
        (json!({"name": "MASTER_ADDR"}), "an empty value"),
        (
            json!({"name": "MASTER_ADDR", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}),
            "valueFrom",
        ),
    ] {
        let mut pod = asked.clone();
        pod["spec"]["containers"][0]["env"] = json!([entry]);
        let deny = refuse(&pod);
        assert_eq!(deny.reason(), "annotation_value");
        let text = deny.to_string();
        assert!(
            text.contains(said) && text.contains("container \"vllm\""),
            "{text}"
        );
    }
}
