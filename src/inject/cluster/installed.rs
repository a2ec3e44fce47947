//! What the webhook configuration in the input says: where the injector is, which namespaces it never sees, and which
//! it sees whatever their labels say. The chart writes all three.

use serde_json::Value;

use super::matching::requirements;
use super::shipped::NAME_LABEL;
use crate::inject::plan::pod;
use crate::inject::webhook::ENFORCED_PATH;

/// Name of the webhook configuration, and of the injector's Deployment.
pub(super) const INJECTOR: &str = "hybridge-injector";
/// Where the injector is, and what it never sees, as the overlays have it.
const NAMESPACE: &str = "hybridge-system";
const OUTSIDE: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// The names in the configuration.
pub(super) struct Installed {
    /// Of the injector.
    pub(super) namespace: String,
    /// Namespaces that no entry sees: nothing in them is injected.
    outside: Vec<String>,
    /// Namespaces in which every pod is injected, by their names.
    enforced: Vec<String>,
    entries: Vec<Value>,
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
        let enforcing = hooks.iter().filter(|hook| {
            of_service(hook, "path").is_some_and(|path| path.ends_with(ENFORCED_PATH))
        });
        Self {
            enforced: enforcing.flat_map(|hook| names(hook, "In")).collect(),
            namespace,
            outside,
            entries: hooks.to_vec(),
        }
    }

    /// Whether every pod of a namespace is injected because of its name.
    pub(super) fn enforces(&self, namespace: &str) -> bool {
        self.enforced.iter().any(|name| name == namespace)
    }

    pub(super) fn enforces_by_name(&self) -> bool {
        !self.enforced.is_empty()
    }

    /// Whether the entry of that name does not see a namespace because of its name.
    pub(super) fn is_unseen(&self, entry: &str, namespace: &str) -> bool {
        let mut own = self.entries.iter().filter(|hook| pod::name(hook) == entry);
        self.is_outside(namespace) || own.any(|hook| leaves_out(hook, namespace))
    }

    /// Whether no entry sees it.
    pub(super) fn is_outside(&self, namespace: &str) -> bool {
        self.outside.iter().any(|name| name == namespace)
    }

    /// Namespaces that entries and bindings may leave out: another one is for them, or none.
    pub(super) fn apart(&self) -> Vec<String> {
        let all = self.outside.iter().chain(&self.enforced);
        all.cloned().collect()
    }

    /// How the namespaces that a binding names differ from those that the webhook enforces by name.
    pub(super) fn named_otherwise(&self, matched: &Value) -> Option<String> {
        let bound = names(matched, "In");
        let lacking: Vec<&str> = apart_from(&self.enforced, &bound);
        if !lacking.is_empty() {
            let lacking = lacking.join(", ");
            return Some(format!(
                "does not name {lacking}, which the webhook enforces"
            ));
        }
        let more = apart_from(&bound, &self.enforced);
        (!more.is_empty()).then(|| {
            let more = more.join(", ");
            format!("names {more}, which no entry of the webhook enforces by name")
        })
    }
}

/// The names that the others lack.
fn apart_from<'a>(names: &'a [String], others: &[String]) -> Vec<&'a str> {
    let lacking = names.iter().filter(|name| !others.contains(name));
    lacking.map(String::as_str).collect()
}

/// Whether an entry does not see a namespace because of its name.
fn leaves_out(hook: &Value, namespace: &str) -> bool {
    let chosen = names(hook, "In");
    let is_another = !chosen.is_empty() && !chosen.iter().any(|name| name == namespace);
    is_another || names(hook, "NotIn").iter().any(|name| name == namespace)
}

/// The names that an entry or a binding selects namespaces by.
fn names(of: &Value, by: &str) -> Vec<String> {
    let selector = of.get("namespaceSelector").unwrap_or(&Value::Null);
    let by_name = requirements(selector)
        .into_iter()
        .filter(|(key, operator, _)| (*key, *operator) == (NAME_LABEL, by));
    by_name
        .flat_map(|(_, _, values)| values)
        .map(str::to_owned)
        .collect()
}
