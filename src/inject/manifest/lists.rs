//! What counts as a list, and what its items are: one rule for manifests and for what kubectl prints. A
//! list that cannot be read whole is said, never passed over.

use serde_json::Value;

use crate::redact::Shown;

/// Lists in lists; kubectl prints one level.
const DEEPEST: usize = 4;

/// An object, by itself or out of a list.
#[derive(Debug)]
pub(crate) struct Item<'a> {
    /// JSON pointer to it.
    pub(crate) pointer: String,
    /// Its own kind, else the one that its list is for.
    pub(crate) kind: &'a str,
    /// Its own apiVersion, else its list's.
    pub(crate) version: &'a str,
    pub(crate) value: &'a Value,
}

impl<'a> Item<'a> {
    /// The API group of its version; that of the core is empty.
    pub(crate) fn group(&self) -> &'a str {
        self.version.split_once('/').map_or("", |(group, _)| group)
    }
}

/// The objects in what was read, and what is odd about it.
#[derive(Debug, Default)]
pub(crate) struct Items<'a> {
    pub(crate) items: Vec<Item<'a>>,
    pub(crate) odd: Vec<String>,
}

/// Takes lists apart. An empty document is nothing.
pub(crate) fn items(object: &Value) -> Items<'_> {
    let mut found = Items::default();
    if !object.is_null() {
        found.read(object, String::new(), ("", ""), 0);
    }
    found
}

impl<'a> Items<'a> {
    fn read(&mut self, value: &'a Value, pointer: String, of: (&'a str, &'a str), depth: usize) {
        if !value.is_object() {
            let at = place(&pointer);
            let what = type_of(value);
            return self.say(format!("{at} is {what} and not an object; it is left out"));
        }
        let own = string(value, "kind");
        let kind = own.unwrap_or(of.0);
        let usual = if own.is_some() { "" } else { of.1 };
        let version = string(value, "apiVersion").unwrap_or(usual);
        let Some(of_items) = kind.strip_suffix("List").filter(|_| is_list(kind, value)) else {
            return self.items.push(Item {
                pointer,
                kind,
                version,
                value,
            });
        };
        let title = Shown::from(kind);
        match value.get("items") {
            Some(Value::Array(_)) if depth >= DEEPEST => {
                let at = place(&pointer);
                self.say(format!(
                    "{at}, a {title}, is nested too deep; it is left out"
                ));
            }
            Some(Value::Array(items)) => {
                let of = if of_items.is_empty() {
                    ("", "")
                } else {
                    (of_items, version)
                };
                for (index, item) in items.iter().enumerate() {
                    self.read(item, format!("{pointer}/items/{index}"), of, depth + 1);
                }
            }
            // How an empty slice of Go is printed.
            Some(Value::Null) => {}
            Some(other) => {
                let at = place(&pointer);
                let what = type_of(other);
                self.say(format!(
                    "{at}, a {title}, has items that are {what} and not a list; it is left out"
                ));
            }
            None => {
                let at = place(&pointer);
                self.say(format!("{at}, a {title}, has no items"));
            }
        }
    }

    fn say(&mut self, what: String) {
        self.odd.push(what);
    }
}

/// A kind of somebody's own may end in the same word. An object has a name, a list has none (ListMeta).
fn is_list(kind: &str, value: &Value) -> bool {
    let named = value
        .get("metadata")
        .is_some_and(|metadata| string(metadata, "name").is_some());
    kind == "List" || !named
}

fn place(pointer: &str) -> String {
    if pointer.is_empty() {
        "the document".to_owned()
    } else {
        format!("the item at {pointer}")
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn string<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value
        .get(key)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn seen(object: &Value) -> (Vec<String>, Vec<String>) {
        let Items { items, odd } = items(object);
        let items = items
            .iter()
            .map(|item| format!("{} {} {}", item.pointer, item.version, item.kind));
        (items.collect(), odd)
    }

    #[test]
    fn a_list_is_its_items_and_an_object_itself() {
        let named = json!({"kind": "AllowList", "apiVersion": "example.com/v1", "metadata": {"name": "a"}, "items": 7});
        for (object, expected) in [
            (json!({"kind": "Pod", "apiVersion": "v1"}), &[" v1 Pod"][..]),
            (named, &[" example.com/v1 AllowList"]),
            (
                json!({"kind": "DeploymentList", "apiVersion": "apps/v1", "items": [{}, {"kind": "Pod", "apiVersion": "v1"}]}),
                &["/items/0 apps/v1 Deployment", "/items/1 v1 Pod"],
            ),
            (
                json!({"kind": "List", "apiVersion": "v1", "items": [{"kind": "PodList", "apiVersion": "v1", "items": [{}]}, {}]}),
                &["/items/0/items/0 v1 Pod", "/items/1  "],
            ),
            (json!({"kind": "PodList", "items": []}), &[]),
            (json!({"kind": "PodList", "items": null}), &[]),
            (json!(null), &[]),
            (json!({}), &["  "]),
        ] {
            assert_eq!(
                seen(&object),
                (expected.iter().map(ToString::to_string).collect(), vec![]),
                "{object}"
            );
        }
    }

    #[test]
    fn a_list_that_cannot_be_read_whole_is_said() {
        let mut deep = json!({"kind": "Pod"});
        for _ in 0..=DEEPEST {
            deep = json!({"kind": "List", "items": [deep]});
        }
        for (object, said) in [
            (
                json!({"kind": "List"}),
                "the document, a List, has no items",
            ),
            (
                json!({"kind": "PodList", "metadata": {}}),
                "a PodList, has no items",
            ),
            (
                json!({"kind": "PodList", "items": 7}),
                "items that are a number",
            ),
            (
                json!({"kind": "PodList", "items": {"a": {}}}),
                "items that are an object",
            ),
            (
                json!({"kind": "List", "items": ["x"]}),
                "the item at /items/0 is a text",
            ),
            (
                json!({"kind": "PodList", "items": [null]}),
                "the item at /items/0 is null",
            ),
            (json!("x"), "the document is a text"),
            (json!([{"kind": "Pod"}]), "the document is a list"),
            (deep, "nested too deep"),
        ] {
            let (items, odd) = seen(&object);
            assert!(items.is_empty(), "{object}: {items:?}");
            assert_eq!(odd.len(), 1, "{object}: {odd:?}");
            assert!(odd.first().unwrap().contains(said), "{object}: {odd:?}");
        }
    }
}
