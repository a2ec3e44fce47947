//! The objects of a cluster, read from what kubectl printed.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::inject::cli::ClusterArgs;
use crate::inject::error::Error;
use crate::inject::manifest::{input, yaml};
use crate::inject::plan::pod;
use crate::inject::plan::{Decision, INJECT_LABEL, NAMESPACE_LABEL};

/// The objects that kubectl printed.
pub(super) struct Cluster {
    pub(super) objects: Vec<Value>,
    pub(super) namespaces: BTreeMap<String, Option<String>>,
}

impl Cluster {
    pub(super) fn read(args: &ClusterArgs, stdin: &mut impl Read) -> Result<Self, Error> {
        let standard_input = [PathBuf::from("-")];
        let files = if args.files.is_empty() {
            &standard_input[..]
        } else {
            &args.files
        };
        let mut objects = Vec::new();
        for path in files {
            collect(parse(path, stdin)?, &mut objects);
        }
        let namespaces = objects
            .iter()
            .filter(|object| pod::string(object, "kind") == Some("Namespace"))
            .map(|object| (name(object).to_owned(), label(object, NAMESPACE_LABEL)))
            .collect();
        Ok(Self {
            objects,
            namespaces,
        })
    }

    pub(super) fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects
            .iter()
            .filter(move |object| pod::string(object, "kind") == Some(kind))
    }

    pub(super) fn named(&self, kind: &str, wanted: &str) -> Option<&Value> {
        self.objects
            .iter()
            .find(|object| pod::string(object, "kind") == Some(kind) && name(object) == wanted)
    }

    /// How the webhook decides on pods of this namespace; `None` where it never does.
    pub(super) fn decision(&self, namespace: &str) -> Option<Decision> {
        const NEVER: [&str; 4] = [
            "kube-system",
            "kube-public",
            "kube-node-lease",
            "hybridge-system",
        ];
        if NEVER.contains(&namespace) {
            return None;
        }
        match self.namespaces.get(namespace).and_then(Option::as_deref) {
            None => Some(Decision::Object),
            Some("enabled") => Some(Decision::Namespace),
            Some("enforced") => Some(Decision::Enforced),
            Some(_) => None,
        }
    }
}

fn parse(path: &Path, stdin: &mut impl Read) -> Result<Value, Error> {
    let text = input::read(path, stdin)?;
    serde_json::from_str(&text)
        .or_else(|_| yaml::read(&text))
        .map_err(|source| Error::Document {
            path: path.into(),
            document: 1,
            source,
        })
}

fn collect(mut object: Value, objects: &mut Vec<Value>) {
    let kind = pod::string(&object, "kind").unwrap_or_default().to_owned();
    let items = object.get_mut("items").and_then(Value::as_array_mut);
    // A kind of somebody's own may end in the same word, and has no items.
    let Some(items) = items.filter(|_| kind.ends_with("List")) else {
        return objects.push(object);
    };
    for mut item in std::mem::take(items) {
        // Items of a typed list carry no kind of their own.
        if item.is_object() && item.get("kind").is_none() && kind != "List" {
            item["kind"] = Value::from(kind.trim_end_matches("List"));
        }
        objects.push(item);
    }
}

pub(super) fn name(object: &Value) -> &str {
    let metadata = object.get("metadata").unwrap_or(&Value::Null);
    pod::string(metadata, "name").unwrap_or_default()
}

pub(super) fn namespace(object: &Value) -> &str {
    let metadata = object.get("metadata").unwrap_or(&Value::Null);
    pod::string(metadata, "namespace").unwrap_or("default")
}

fn label(object: &Value, key: &str) -> Option<String> {
    let labels = pod::metadata(object, "labels")?;
    labels.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// Whether a pod with these labels in such a namespace is to have the sidecar.
pub(super) fn is_wanted(decision: Option<Decision>, object: &Value) -> bool {
    let own = label(object, INJECT_LABEL);
    match (decision, own.as_deref()) {
        (None, _) => false,
        (Some(Decision::Enforced), _) => true,
        (Some(Decision::Namespace), own) => own != Some("disabled"),
        (Some(Decision::Object), own) => own == Some("enabled"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_is_its_items_whatever_they_are_and_another_kind_is_an_object() {
        for (object, kinds) in [
            (
                json!({"kind": "PodList", "items": [{}, "x", null]}),
                &["Pod", "", ""][..],
            ),
            (
                json!({"kind": "List", "items": [{"kind": "Pod"}]}),
                &["Pod"],
            ),
            (json!({"kind": "AllowList", "spec": {}}), &["AllowList"]),
            (json!({"kind": "PodList", "items": 7}), &["PodList"]),
            (json!({"kind": "PodList", "items": []}), &[]),
        ] {
            let mut objects = Vec::new();
            collect(object.clone(), &mut objects);
            let found: Vec<_> = objects
                .iter()
                .map(|object| pod::string(object, "kind").unwrap_or_default())
                .collect();
            assert_eq!(found, kinds, "{object}");
        }
    }
}
