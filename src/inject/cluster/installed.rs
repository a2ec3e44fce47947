//! What the webhook configuration in the input says: where the injector is, which namespaces it never sees, and which
//! it sees whatever their labels say. The chart writes all three.

use serde_json::Value;

use super::shipped::NAME_LABEL;
use crate::inject::plan::pod;

/// Name of the webhook configuration, and of the injector's Deployment.
pub(super) const INJECTOR: &str = "hybridge-injector";
/// The end of the path for pods that may not opt out.
const ENFORCED: &str = "/inject/enforced";
/// Where the injector is, and what it never sees, as the overlays have it.
const NAMESPACE: &str = "hybridge-system";
const OUTSIDE: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// The names in the configuration.
pub(super) struct Installed {
    /// Of the injector.
    pub(super) namespace: String,
    /// Namespaces that no entry sees: nothing in them is injected.
    pub(super) outside: Vec<String>,
    /// Namespaces in which every pod is injected, by their names.
    pub(super) enforced: Vec<String>,
}

impl Installed {
    pub(super) fn of(objects: &[Value]) -> Self {
        let config = objects.iter().find(|object| {
            pod::string(object, "kind") == Some("MutatingWebhookConfiguration")
                && object.pointer("/metadata/name").and_then(Value::as_str) == Some(INJECTOR)
        });
        let hooks = config.map_or(&[][..], |config| pod::array(config, "webhooks"));
        let of_service = |hook: &Value, key: &str| {
            let field = hook.pointer("/clientConfig/service")?.get(key)?.as_str()?;
            Some(field.to_owned())
        };
        let mut places = hooks
            .iter()
            .filter_map(|hook| of_service(hook, "namespace"));
        let namespace = places.next().unwrap_or_else(|| NAMESPACE.to_owned());
        let mut outside: Vec<String> = hooks.iter().flat_map(|hook| names(hook, "NotIn")).collect();
        let is_written = !outside.is_empty();
        outside.retain(|name| hooks.iter().all(|hook| leaves_out(hook, name)));
        if !is_written {
            outside = OUTSIDE.map(str::to_owned).to_vec();
            outside.push(namespace.clone());
        }
        let enforcing = hooks
            .iter()
            .filter(|hook| of_service(hook, "path").is_some_and(|path| path.ends_with(ENFORCED)));
        Self {
            enforced: enforcing.flat_map(|hook| names(hook, "In")).collect(),
            namespace,
            outside,
        }
    }
}

/// Whether an entry does not see a namespace because of its name.
fn leaves_out(hook: &Value, namespace: &str) -> bool {
    let chosen = names(hook, "In");
    let is_another = !chosen.is_empty() && !chosen.iter().any(|name| name == namespace);
    is_another || names(hook, "NotIn").iter().any(|name| name == namespace)
}

/// The names that an entry selects namespaces by.
fn names(hook: &Value, operator: &str) -> Vec<String> {
    let selector = hook.get("namespaceSelector").unwrap_or(&Value::Null);
    let by_name = pod::array(selector, "matchExpressions")
        .iter()
        .filter(|by| {
            pod::string(by, "key") == Some(NAME_LABEL)
                && pod::string(by, "operator") == Some(operator)
        });
    let names = by_name.flat_map(|by| pod::array(by, "values"));
    names
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}
