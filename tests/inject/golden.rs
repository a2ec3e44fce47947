//! Golden results: the operations and warnings for every pod shape and captured review, or the refusal.
//! `HYBRIDGE_BLESS=1 cargo test --test inject golden` writes them anew; read the difference before committing.

use hybridge::inject::{Decision, Settings, plan};
use serde_json::{Value, json};

use crate::support;

fn result(pod: &Value) -> Value {
    match plan(pod, Decision::Namespace, &Settings::default()) {
        Ok(plan) => json!({"warnings": plan.warnings, "operations": plan.ops}),
        Err(deny) => json!({"denied": deny.reason(), "message": deny.to_string()}),
    }
}

fn compare(name: &str, actual: &Value) -> Result<(), String> {
    let path = support::dir("golden").join(format!("{name}.json"));
    let text = format!("{actual:#}\n");
    if std::env::var_os("HYBRIDGE_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if expected == text {
        Ok(())
    } else {
        Err(format!("{} differs; now:\n{text}", path.display()))
    }
}

#[test]
fn every_pod_shape_gives_its_golden_patch() {
    let failures: Vec<String> = support::files("pods", ".yaml")
        .iter()
        .map(|path| support::stem(path))
        .filter_map(|name| compare(&name, &result(&support::pod(&name))).err())
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_captured_review_gives_its_golden_patch() {
    let failures: Vec<String> = support::captured()
        .iter()
        .filter_map(|(name, review)| {
            compare(
                &format!("review-{name}"),
                &result(&review["request"]["object"]),
            )
            .err()
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
