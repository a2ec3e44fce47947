//! The decision whether a pod is injected. Labels decide, because only labels are seen by a
//! webhook's selectors; the namespace's label arrives as the path the webhook was called on.

use serde_json::Value;

use super::deny::{Deny, Reason};
use super::names::PREFIX;
use super::pod;

/// The pod label.
pub const INJECT_LABEL: &str = "hybridge.dev/inject";
/// The namespace label.
pub const NAMESPACE_LABEL: &str = "hybridge.dev/injection";

/// What is known before the pod is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// The namespace (or the user of the offline front) asked: inject unless the pod says no.
    Namespace,
    /// The namespace is silent: inject only where the pod asks.
    Object,
    /// The namespace insists: inject, and refuse a pod that says no.
    Enforced,
}

/// What the labels say, with the reason in words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Inject(&'static str),
    Skip(&'static str),
}

pub(crate) fn verdict(pod: &Value, decision: Decision) -> Result<Verdict, Deny> {
    refuse_unknown(pod)?;
    let value = pod::metadata(pod, "labels")
        .and_then(|labels| labels.get(INJECT_LABEL))
        .and_then(Value::as_str);
    match (value, decision) {
        (Some("enabled"), _) => Ok(Verdict::Inject(
            "the pod's label hybridge.dev/inject is enabled",
        )),
        (Some("disabled"), Decision::Enforced) => Err(Reason::LabelValue.deny(format!(
                "label {INJECT_LABEL}: disabled is not accepted here: the namespace's label {NAMESPACE_LABEL} is enforced; remove the pod's label"
            ))),
        (Some("disabled"), _) => Ok(Verdict::Skip(
            "the pod's label hybridge.dev/inject is disabled",
        )),
        (None, Decision::Namespace) => Ok(Verdict::Inject(
            "injection is on for everything here and the pod does not opt out",
        )),
        (None, Decision::Enforced) => Ok(Verdict::Inject("the namespace enforces injection")),
        (None, Decision::Object) => Ok(Verdict::Skip(
            "the pod has no label hybridge.dev/inject: enabled",
        )),
        (Some(other), _) => Err(Reason::LabelValue.deny(format!(
                "label {INJECT_LABEL}: {other:?} is not understood; use \"enabled\" or \"disabled\""
            ))),
    }
}

fn refuse_unknown(pod: &Value) -> Result<(), Deny> {
    let labels = pod::metadata(pod, "labels").into_iter().flatten();
    for (key, _) in labels {
        if key.starts_with(PREFIX) && key != INJECT_LABEL {
            return Err(Reason::UnknownLabel.deny(unknown_message(key)));
        }
    }
    Ok(())
}

fn unknown_message(key: &str) -> String {
    if key == NAMESPACE_LABEL {
        return format!("label {key} belongs on the namespace; on a pod use {INJECT_LABEL}");
    }
    let name = key.trim_start_matches(PREFIX);
    if super::known_annotations::is_known(name) {
        return format!("{key} is an annotation, not a label; move it to metadata.annotations");
    }
    format!("label {key} is not known; the only label on a pod is {INJECT_LABEL}: enabled|disabled")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(labels: &Value) -> Value {
        json!({"metadata": {"labels": labels}})
    }

    #[test]
    fn a_silent_pod_follows_the_namespace() {
        let silent = pod(&Value::Null);
        assert!(matches!(
            verdict(&silent, Decision::Namespace),
            Ok(Verdict::Inject(_))
        ));
        assert!(matches!(
            verdict(&silent, Decision::Object),
            Ok(Verdict::Skip(_))
        ));
    }

    #[test]
    fn a_namespace_that_enforces_injection_accepts_no_opt_out() {
        let silent = verdict(&pod(&Value::Null), Decision::Enforced);
        assert!(matches!(silent, Ok(Verdict::Inject(_))));
        let out = pod(&json!({"hybridge.dev/inject": "disabled"}));
        let Err(deny) = verdict(&out, Decision::Enforced) else {
            panic!("accepted")
        };
        assert!(deny.to_string().contains("is enforced"), "{deny}");
        assert!(matches!(
            verdict(&out, Decision::Namespace),
            Ok(Verdict::Skip(_))
        ));
    }

    #[test]
    fn a_wrong_value_is_denied_with_the_right_ones() {
        let error = verdict(
            &pod(&json!({"hybridge.dev/inject": "true"})),
            Decision::Object,
        );
        let Err(deny) = error else { panic!("accepted") };
        assert_eq!(deny.reason(), "label_value");
        assert!(deny.to_string().contains("\"enabled\" or \"disabled\""));
    }

    #[test]
    fn a_namespace_label_or_an_annotation_used_as_pod_label_is_named() {
        for (key, hint) in [
            ("hybridge.dev/injection", "belongs on the namespace"),
            ("hybridge.dev/ports", "is an annotation"),
            ("hybridge.dev/injct", "hybridge.dev/inject: enabled"),
        ] {
            let Err(deny) = verdict(&pod(&json!({key: "enabled"})), Decision::Namespace) else {
                panic!("{key} accepted")
            };
            assert!(deny.to_string().contains(hint), "{deny}");
        }
    }
}
