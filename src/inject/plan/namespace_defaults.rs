//! Annotations that count in a namespace where a pod has none of its own. The webhook sees no namespace
//! object without API access, so they come from a file, such as a ConfigMap that the injector mounts.

use std::collections::BTreeMap;

use serde_json::Value;

use super::annotations;
use super::known_annotations::{is_known, unknown_message};
use super::names::{PREFIX, SHARED_PID};
use super::settings::{NamespaceDefaults, Settings, secret_name};
use crate::redact::Shown;

impl NamespaceDefaults {
    /// Checks the content of such a file; a mistake in it names namespace, annotation and remedy.
    pub(crate) fn from_value(value: &Value) -> Result<Self, String> {
        let mut all = BTreeMap::new();
        if value.is_null() {
            return Ok(Self(all));
        }
        let namespaces = value
            .as_object()
            .ok_or("give a mapping of namespaces, such as `ai: {memory: 256Mi}`")?;
        for (namespace, annotations) in namespaces {
            if !is_namespace(namespace) {
                return Err(format!(
                    "{:?} is no name of a namespace: lower-case letters, digits and '-', at most 63",
                    Shown::from(namespace.as_str())
                ));
            }
            all.insert(namespace.clone(), read(namespace, annotations)?);
        }
        Ok(Self(all))
    }
}

/// A DNS-1123 label; a name that no namespace can have would never count.
fn is_namespace(name: &str) -> bool {
    name.len() <= 63 && !name.contains('.') && secret_name(name).is_ok()
}

fn read(namespace: &str, annotations: &Value) -> Result<BTreeMap<String, String>, String> {
    let wrong = |what: String| format!("namespace {namespace}: {what}");
    let given = annotations
        .as_object()
        .ok_or_else(|| wrong("give a mapping of annotations".into()))?;
    let mut read = BTreeMap::new();
    for (key, value) in given {
        let name = key.strip_prefix(PREFIX).unwrap_or(key);
        if name == SHARED_PID {
            return Err(wrong(format!(
                "{name} counts on a pod alone, where the policies read it too; write annotation {PREFIX}{name} on the pods"
            )));
        }
        if name == "status" || !is_known(name) {
            return Err(wrong(unknown_message(name)));
        }
        let value = value
            .as_str()
            .ok_or_else(|| wrong(format!("{key} is no text; put quotes around the value")))?;
        // With the prefix and without.
        if read.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(wrong(format!("{name} is given twice")));
        }
    }
    // Wrong values show now, not at the first pod: one that says nothing itself.
    let settings = Settings {
        namespace_defaults: Some(NamespaceDefaults(BTreeMap::from([(
            namespace.to_owned(),
            read.clone(),
        )]))),
        ..Settings::default()
    };
    let request = annotations::parse_defaults(namespace, &settings)
        .map_err(|deny| wrong(deny.to_string()))?;
    match request.unasked {
        None => Ok(read),
        Some(name) => Err(wrong(format!(
            "{name} has no effect alone: no client is asked for a certificate; add client-auth: required, or client-auth: \"off\" where pods ask by their own annotation"
        ))),
    }
}
