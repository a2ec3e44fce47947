//! Annotations that count in a namespace where a pod has none of its own. The webhook sees no namespace
//! object without API access, so they come from a file, such as a ConfigMap that the injector mounts.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::annotation_table::{PREFIX, is_known, unknown_message};
use super::annotations;
use super::settings::Settings;
use super::yaml;

/// Annotations by namespace, their names without the prefix.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NamespaceDefaults(BTreeMap<String, BTreeMap<String, String>>);

impl NamespaceDefaults {
    /// Reads and checks a file; a mistake in it names namespace, annotation and remedy.
    pub fn load(path: &str) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        Self::parse(&text)
    }

    /// Reads and checks the text of such a file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value = yaml::read(text).map_err(|error| error.to_string())?;
        let mut all = BTreeMap::new();
        if value.is_null() {
            return Ok(Self(all));
        }
        let namespaces = value
            .as_object()
            .ok_or("give a mapping of namespaces, such as `ai: {memory: 256Mi}`")?;
        for (namespace, annotations) in namespaces {
            all.insert(namespace.clone(), read(namespace, annotations)?);
        }
        Ok(Self(all))
    }

    /// What counts in `namespace`.
    pub(crate) fn of(&self, namespace: &str) -> Option<&BTreeMap<String, String>> {
        self.0.get(namespace)
    }
}

fn read(namespace: &str, annotations: &Value) -> Result<BTreeMap<String, String>, String> {
    let wrong = |what: String| format!("namespace {namespace}: {what}");
    let given = annotations
        .as_object()
        .ok_or_else(|| wrong("give a mapping of annotations".into()))?;
    let mut read = BTreeMap::new();
    for (key, value) in given {
        let name = key.strip_prefix(PREFIX).unwrap_or(key);
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
    // Wrong values show now, not at the first pod.
    let prefixed: BTreeMap<String, &String> = read
        .iter()
        .map(|(name, value)| (format!("{PREFIX}{name}"), value))
        .collect();
    let pod = json!({"metadata": {"annotations": prefixed}});
    annotations::parse(&pod, &Settings::default()).map_err(|deny| wrong(deny.to_string()))?;
    Ok(read)
}
