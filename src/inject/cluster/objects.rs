//! The objects of a cluster, read from what kubectl printed.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::installed::Installed;
use crate::inject::cli::ClusterArgs;
use crate::inject::error::Error;
use crate::inject::manifest::lists::{self, Item, Items};
use crate::inject::manifest::{YamlError, documents, input};
use crate::inject::plan::pod;
use crate::inject::plan::{Decision, INJECT_LABEL, NAMESPACE_LABEL};
use crate::redact::Shown;

/// What is wrong with a namespace of [`Cluster::unheard`].
pub(super) const UNHEARD: &str = "its label asks for the sidecar, and the webhook leaves the namespace out by its name: its pods get none; \
     take the label away, or the name out of the webhook's namespaceSelector";

/// The objects that kubectl printed.
pub(super) struct Cluster {
    pub(super) objects: Vec<Value>,
    pub(super) namespaces: BTreeMap<String, Option<String>>,
    /// What the webhook configuration says, or would say.
    pub(super) installed: Installed,
    /// Lists that could not be read whole.
    pub(super) odd: Vec<String>,
}

impl Cluster {
    pub(super) fn read(args: &ClusterArgs, stdin: &mut impl Read) -> Result<Self, Error> {
        let standard_input = [PathBuf::from("-")];
        let files = if args.files.is_empty() {
            &standard_input[..]
        } else {
            &args.files
        };
        input::require_once(files.iter().map(PathBuf::as_path))?;
        let mut objects = Vec::new();
        let mut odd = Vec::new();
        let mut is_answer = false;
        for path in files {
            let text = input::read(path, stdin)?;
            let documents = documents::split(&text);
            for (index, document) in documents.iter().enumerate() {
                let place = Place {
                    path,
                    number: index + 1,
                    of: documents.len(),
                };
                let read = document.read().map_err(|source| place.unreadable(source))?;
                is_answer |= !read.is_null();
                let told = collect(read, &mut objects);
                odd.extend(told.iter().map(|what| format!("{place}: {what}")));
            }
        }
        if !is_answer {
            return Err(Error::NoObjects);
        }
        let namespaces = objects
            .iter()
            .filter(|object| pod::string(object, "kind") == Some("Namespace"))
            .map(|object| (name(object).to_owned(), label(object, NAMESPACE_LABEL)))
            .collect();
        Ok(Self {
            installed: Installed::of(&objects),
            objects,
            namespaces,
            odd,
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

    /// The same in a namespace.
    pub(super) fn placed(&self, kind: &str, place: &str, wanted: &str) -> Option<&Value> {
        self.objects.iter().find(|object| {
            pod::string(object, "kind") == Some(kind)
                && name(object) == wanted
                && namespace(object) == place
        })
    }

    /// How the webhook decides on pods of this namespace; `None` where it never does.
    pub(super) fn decision(&self, namespace: &str) -> Option<Decision> {
        if self.installed.enforces(namespace) {
            return Some(Decision::Enforced);
        }
        let (entry, decision) = self.by_label(namespace)?;
        (!self.installed.is_unseen(entry, namespace)).then_some(decision)
    }

    /// The same for a namespace that only its own entry leaves out: what its pods ask for.
    pub(super) fn asked(&self, namespace: &str) -> Option<Decision> {
        let asked = || Some(self.by_label(namespace)?.1);
        let by_label = || asked().filter(|_| !self.installed.is_outside(namespace));
        self.decision(namespace).or_else(by_label)
    }

    /// The entry that is for a namespace with such a label, and what it decides.
    fn by_label(&self, namespace: &str) -> Option<(&'static str, Decision)> {
        match self.namespaces.get(namespace).and_then(Option::as_deref) {
            None => Some(("object.hybridge.dev", Decision::Object)),
            Some("enabled") => Some(("namespace.hybridge.dev", Decision::Namespace)),
            Some("enforced") => Some(("enforced.hybridge.dev", Decision::Enforced)),
            Some(_) => None,
        }
    }

    /// Namespaces that ask by a label and that the webhook does not see because of their names.
    pub(super) fn unheard(&self) -> impl Iterator<Item = &str> {
        let labelled = self.namespaces.iter().filter(|(_, label)| label.is_some());
        labelled
            .map(|(name, _)| name.as_str())
            .filter(|name| self.by_label(name).is_some() && self.decision(name).is_none())
    }
}

/// A document of a file.
struct Place<'a> {
    path: &'a Path,
    /// Counted from 1.
    number: usize,
    of: usize,
}

impl Place<'_> {
    fn unreadable(&self, source: YamlError) -> Error {
        Error::Document {
            path: self.path.into(),
            document: self.number,
            source,
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Shown::path(self.path))?;
        if self.of > 1 {
            write!(f, ", document {}", self.number)?;
        }
        Ok(())
    }
}

/// Takes the objects out of what was read; items of a typed list get the kind that they do not say.
fn collect(mut read: Value, objects: &mut Vec<Value>) -> Vec<String> {
    let Items { items, odd } = lists::items(&read);
    let own = |item: &Item<'_>| {
        let Item {
            pointer,
            kind,
            version,
            ..
        } = item;
        (pointer.clone(), (*kind).to_owned(), (*version).to_owned())
    };
    let found: Vec<_> = items.iter().map(own).collect();
    for (pointer, kind, version) in found {
        let Some(mut object) = read.pointer_mut(&pointer).map(Value::take) else {
            continue;
        };
        for (key, value) in [("kind", kind), ("apiVersion", version)] {
            if object.get(key).is_none() && !value.is_empty() {
                object[key] = Value::from(value);
            }
        }
        objects.push(object);
    }
    odd
}

pub(super) fn name(object: &Value) -> &str {
    let metadata = object.get("metadata").unwrap_or(&Value::Null);
    pod::string(metadata, "name").unwrap_or_default()
}

pub(super) fn namespace(object: &Value) -> &str {
    pod::namespace(object).unwrap_or("default")
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
        // A value that nobody knows reaches the webhook too, which refuses the pod.
        (Some(Decision::Object), own) => own.is_some_and(|own| own != "disabled"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn items_of_a_typed_list_get_its_kind_and_version() {
        let mut objects = Vec::new();
        let list = json!({"kind": "DeploymentList", "apiVersion": "apps/v1", "items": [{"metadata": {"name": "a"}}, "x", {"kind": "Pod"}]});
        let odd = collect(list, &mut objects);
        assert_eq!(odd.len(), 1, "{odd:?}");
        assert_eq!(
            objects,
            [
                json!({"metadata": {"name": "a"}, "kind": "Deployment", "apiVersion": "apps/v1"}),
                json!({"kind": "Pod"}),
            ]
        );
    }
}
