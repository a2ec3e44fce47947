//! What rules, selectors and matchConditions of admission let through to an entry, a policy or a binding
//! (admissionregistration.k8s.io/v1).

use serde_json::Value;

use super::shipped::{NAME_LABEL, Requirement, Selectors};
use crate::inject::plan::pod;
use crate::inject::plan::{INJECT_LABEL, NAMESPACE_LABEL};

/// Whether a rule of the list under `key` is for this operation on this resource of the core group.
pub(super) fn covers(of: &Value, key: &str, (operation, resource): (&str, &str)) -> bool {
    let kind = resource.split_once('/');
    let is_wanted = |pattern: &str| match kind {
        // `*` is for resources, and `*/*` for their subresources too.
        None => [resource, "*", "*/*"].contains(&pattern),
        Some((kind, part)) => {
            let (all_parts, of_all) = (format!("{kind}/*"), format!("*/{part}"));
            [resource, all_parts.as_str(), of_all.as_str(), "*/*"].contains(&pattern)
        }
    };
    let without = if resource == "namespaces" {
        "Namespaced"
    } else {
        "Cluster"
    };
    pod::array(of, key).iter().any(|rule| {
        let has = |key: &str, is: &dyn Fn(&str) -> bool| {
            let mut listed = pod::array(rule, key).iter().filter_map(Value::as_str);
            listed.any(is)
        };
        has("operations", &|listed| [operation, "*"].contains(&listed))
            && has("apiGroups", &|listed| ["", "*"].contains(&listed))
            && has("apiVersions", &|listed| ["v1", "*"].contains(&listed))
            && has("resources", &is_wanted)
            && pod::string(rule, "scope") != Some(without)
            // Names that nobody can know before.
            && pod::array(rule, "resourceNames").is_empty()
    })
}

/// How selectors differ from those of an installation.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Narrower {
    /// By a label whose meaning is hybridge's: the installation was changed.
    Ours(String),
    /// By a label of the operator, who may have meant it.
    Theirs(String),
}

/// The first requirement that the installation does not have; ours before theirs. It may leave out the namespaces `apart`,
/// for which something else is there, or nothing.
pub(super) fn narrower(of: &Value, shipped: &Selectors, apart: &[String]) -> Option<Narrower> {
    let own = [
        ("namespaceSelector", shipped.namespace),
        ("objectSelector", shipped.object),
    ];
    let mut theirs = None;
    for (name, shipped) in own {
        let selector = of.get(name).unwrap_or(&Value::Null);
        for (key, operator, mut values) in requirements(selector) {
            if (key, operator) == (NAME_LABEL, "NotIn") {
                values.retain(|name| !apart.iter().any(|one| one == name));
                if values.is_empty() {
                    continue;
                }
            }
            let is_shipped = |one: &Requirement| {
                let same_values = || {
                    one.key == NAME_LABEL && operator == "In"
                        || one.values.len() == values.len()
                            && one.values.iter().all(|value| values.contains(value))
                };
                one.key == key && one.operator == operator && same_values()
            };
            if shipped.iter().any(is_shipped) {
                continue;
            }
            if [NAMESPACE_LABEL, INJECT_LABEL].contains(&key) {
                let values = values.join(", ");
                let said = format!("{key} {operator} {values}");
                return Some(Narrower::Ours(format!("{} in its {name}", said.trim_end())));
            }
            let names = if key == NAME_LABEL {
                format!(" ({operator} {})", values.join(", "))
            } else {
                String::new()
            };
            theirs.get_or_insert(format!("the label {key}{names} in its {name}"));
        }
    }
    theirs.map(Narrower::Theirs)
}

/// Key, operator and values of each requirement.
pub(super) fn requirements(selector: &Value) -> Vec<(&str, &str, Vec<&str>)> {
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let labels = labels.into_iter().flatten();
    let labels = labels.map(|(key, value)| {
        let value = value.as_str().unwrap_or_default();
        (key.as_str(), "In", vec![value])
    });
    let expressions = pod::array(selector, "matchExpressions").iter();
    let expressions = expressions.map(|by| {
        let values = pod::array(by, "values").iter().filter_map(Value::as_str);
        (
            pod::string(by, "key").unwrap_or_default(),
            pod::string(by, "operator").unwrap_or_default(),
            values.collect(),
        )
    });
    labels.chain(expressions).collect()
}

/// The condition that no request meets.
pub(super) fn never_met(of: &Value) -> Option<&str> {
    let mut all = pod::array(of, "matchConditions").iter();
    let never = all.find(|one| pod::string(one, "expression").map(str::trim) == Some("false"));
    never.map(pod::name)
}

/// The names of conditions that the installation does not have; `None` if there are none.
pub(super) fn added_conditions(of: &Value, shipped: &[&str]) -> Option<String> {
    let all = pod::array(of, "matchConditions").iter().map(pod::name);
    let added: Vec<&str> = all.filter(|name| !shipped.contains(name)).collect();
    (!added.is_empty()).then(|| added.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::shipped::ENTRIES;
    use super::*;

    #[test]
    fn a_rule_is_for_the_creation_of_pods_or_for_nothing() {
        let rule = json!({"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "scope": "Namespaced"});
        let seen = |rules: Value| covers(&json!({"rules": rules}), "rules", ("CREATE", "pods"));
        assert!(seen(json!([rule])));
        assert!(seen(
            json!([{}, {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}])
        ));
        assert!(!seen(json!([])));
        for (key, other) in [
            ("operations", json!(["UPDATE"])),
            ("apiGroups", json!(["apps"])),
            ("apiVersions", json!(["v2"])),
            ("resources", json!(["pods/status"])),
            ("scope", json!("Cluster")),
            ("resourceNames", json!(["a"])),
        ] {
            let mut rule = rule.clone();
            rule[key] = other;
            assert!(!seen(json!([rule])), "{rule}");
        }
    }

    #[test]
    fn a_subresource_is_no_resource() {
        let seen = |resources: Value, resource: &str| {
            let rule = json!({"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": resources});
            covers(&json!({"r": [rule]}), "r", ("UPDATE", resource))
        };
        let part = "pods/ephemeralcontainers";
        for pattern in [part, "pods/*", "*/ephemeralcontainers", "*/*"] {
            assert!(seen(json!([pattern]), part), "{pattern}");
        }
        for pattern in ["pods", "*", "pods/status", "*/status"] {
            assert!(!seen(json!([pattern]), part), "{pattern}");
        }
        assert!(!seen(json!(["pods/*"]), "pods"));
        let cluster = json!([{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["namespaces"], "scope": "Namespaced"}]);
        assert!(!covers(
            &json!({"r": cluster}),
            "r",
            ("CREATE", "namespaces")
        ));
    }

    #[test]
    fn a_selector_is_narrower_by_a_label_of_ours_or_of_theirs() {
        let shipped = &ENTRIES[0].selectors;
        let apart = ["kube-system", "pq"].map(str::to_owned);
        let of = |selectors: Value| narrower(&selectors, shipped, &apart);
        assert_eq!(of(json!({})), None);
        let own = json!({"matchExpressions": [
            {"key": "hybridge.dev/injection", "operator": "In", "values": ["enabled"]},
            {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", "pq"]},
        ]});
        assert_eq!(of(json!({"namespaceSelector": own})), None);
        let label = json!({"matchLabels": {"hybridge.dev/injection": "enabled"}});
        assert_eq!(of(json!({"namespaceSelector": label})), None);
        for (selectors, said) in [
            (
                json!({"namespaceSelector": {"matchLabels": {"team": "a"}}}),
                "the label team in its namespaceSelector",
            ),
            (
                json!({"objectSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}),
                "the label app in its objectSelector",
            ),
            (
                json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "a"}}}),
                "the label kubernetes.io/metadata.name (In a) in its namespaceSelector",
            ),
            (
                json!({"namespaceSelector": {"matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["pq", "team-x"]},
                ]}}),
                "the label kubernetes.io/metadata.name (NotIn team-x) in its namespaceSelector",
            ),
        ] {
            assert_eq!(of(selectors), Some(Narrower::Theirs(said.to_owned())));
        }
        for (selectors, said) in [
            (
                json!({"objectSelector": {"matchLabels": {"app": "a", "hybridge.dev/inject": "x"}}}),
                "hybridge.dev/inject In x in its objectSelector",
            ),
            (
                json!({"namespaceSelector": {"matchExpressions": [{"key": "hybridge.dev/injection", "operator": "DoesNotExist"}]}}),
                "hybridge.dev/injection DoesNotExist in its namespaceSelector",
            ),
        ] {
            assert_eq!(of(selectors), Some(Narrower::Ours(said.to_owned())));
        }
    }

    #[test]
    fn a_condition_is_added_or_never_met() {
        let of = json!({"matchConditions": [{"name": "a", "expression": "true"}, {"name": "b", "expression": " false\n"}]});
        assert_eq!(never_met(&of), Some("b"));
        assert_eq!(added_conditions(&of, &["a"]).as_deref(), Some("b"));
        assert_eq!(added_conditions(&of, &["a", "b"]), None);
        assert_eq!(
            (never_met(&json!({})), added_conditions(&json!({}), &[])),
            (None, None)
        );
    }
}
