//! A working copy of the pod that records every change as a JSON Patch operation (RFC 6902).
//! A change that changes nothing records nothing: this is what makes a second run empty.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, ReplaceOperation};
use serde_json::{Map, Value};

use super::deny::{Deny, Reason};
use super::pod;

/// The pod being changed and the operations that changed it.
#[derive(Debug)]
pub(crate) struct Editor {
    pod: Value,
    ops: Vec<PatchOperation>,
}

impl Editor {
    pub(crate) fn new(pod: &Value) -> Self {
        Self {
            pod: pod.clone(),
            ops: Vec::new(),
        }
    }

    /// The pod as the operations so far leave it.
    pub(crate) fn pod(&self) -> &Value {
        &self.pod
    }

    pub(crate) fn finish(self) -> (Value, Patch) {
        (self.pod, Patch(self.ops))
    }

    /// Makes the field at `path` equal to `value`, creating the objects above it where they are absent or null.
    pub(crate) fn set(&mut self, path: &[String], value: Value) -> Result<(), Deny> {
        let existing = present_prefix(&self.pod, path);
        if existing == path.len() {
            if lookup(&self.pod, path) == Some(&value) {
                return Ok(());
            }
            return self.apply(replace(path, value));
        }
        let at = existing + 1;
        let wrapped = path[at..].iter().rev().fold(value, |inner, key| {
            Value::Object(Map::from_iter([(key.clone(), inner)]))
        });
        self.apply(add(&path[..at], wrapped))
    }

    /// Puts `value` into the list at `path` before `index`, creating the list where it is absent or null.
    pub(crate) fn insert(
        &mut self,
        path: &[String],
        index: usize,
        value: Value,
    ) -> Result<(), Deny> {
        match lookup(&self.pod, path) {
            Some(Value::Array(items)) => {
                let token = if index >= items.len() {
                    "-".to_owned()
                } else {
                    index.to_string()
                };
                let mut at = path.to_vec();
                at.push(token);
                self.apply(add(&at, value))
            }
            _ => self.set(path, Value::Array(vec![value])),
        }
    }

    /// Appends `value` to the list at `path`.
    pub(crate) fn push(&mut self, path: &[String], value: Value) -> Result<(), Deny> {
        self.insert(path, usize::MAX, value)
    }

    /// Takes the value at `path` away; nothing where there is none.
    pub(crate) fn remove(&mut self, path: &[String]) -> Result<(), Deny> {
        if lookup(&self.pod, path).is_none() {
            return Ok(());
        }
        self.apply(PatchOperation::Remove(RemoveOperation {
            path: pointer(path),
        }))
    }

    /// Takes the map or list at `path` away if it is empty.
    pub(crate) fn prune(&mut self, path: &[String]) -> Result<(), Deny> {
        let empty = match lookup(&self.pod, path) {
            Some(Value::Object(map)) => map.is_empty(),
            Some(Value::Array(items)) => items.is_empty(),
            _ => false,
        };
        if empty { self.remove(path) } else { Ok(()) }
    }

    /// Puts `item` into a list of the spec, in the place of one with its name.
    pub(crate) fn put_named(&mut self, list: &str, item: Value) -> Result<(), Deny> {
        match self.position(list, pod::name(&item)) {
            Some(index) => self.set(&path(&["spec", list, &index.to_string()]), item),
            None => self.push(&path(&["spec", list]), item),
        }
    }

    /// Takes the item with this name out of a list of the spec, and the list with its last one.
    pub(crate) fn take_named(&mut self, list: &str, name: &str) -> Result<(), Deny> {
        let Some(index) = self.position(list, name) else {
            return Ok(());
        };
        self.remove(&path(&["spec", list, &index.to_string()]))?;
        self.prune(&path(&["spec", list]))
    }

    fn position(&self, list: &str, name: &str) -> Option<usize> {
        let items = pod::array(pod::spec(&self.pod), list);
        items.iter().position(|item| pod::name(item) == name)
    }

    fn apply(&mut self, op: PatchOperation) -> Result<(), Deny> {
        json_patch::patch(&mut self.pod, std::slice::from_ref(&op)).map_err(|error| {
            Reason::Malformed.deny(format!("this pod cannot be changed: {error}"))
        })?;
        self.ops.push(op);
        Ok(())
    }
}

/// Builds a path from its tokens.
pub(crate) fn path(tokens: &[&str]) -> Vec<String> {
    tokens.iter().map(|t| (*t).to_owned()).collect()
}

fn lookup<'a>(root: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(root, |value, token| match value {
        Value::Object(map) => map.get(token),
        Value::Array(items) => items.get(token.parse::<usize>().ok()?),
        _ => None,
    })
}

/// How many leading tokens of `path` lead to a value; a null above the last token counts as absent.
fn present_prefix(root: &Value, path: &[String]) -> usize {
    (1..=path.len())
        .take_while(|&n| lookup(root, &path[..n]).is_some_and(|v| n == path.len() || !v.is_null()))
        .last()
        .unwrap_or(0)
}

fn pointer(path: &[String]) -> PointerBuf {
    PointerBuf::from_tokens(path)
}

fn add(path: &[String], value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation {
        path: pointer(path),
        value,
    })
}

fn replace(path: &[String], value: Value) -> PatchOperation {
    PatchOperation::Replace(ReplaceOperation {
        path: pointer(path),
        value,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ops(editor: Editor) -> Value {
        serde_json::to_value(editor.finish().1).unwrap_or_default()
    }

    #[test]
    fn missing_and_null_parents_are_created_in_one_operation() {
        for pod in [
            json!({}),
            json!({"metadata": null}),
            json!({"metadata": {"annotations": null}}),
        ] {
            let mut editor = Editor::new(&pod);
            editor
                .set(&path(&["metadata", "annotations", "a/b~c"]), json!("x"))
                .unwrap_or_default();
            assert_eq!(
                editor.pod(),
                &json!({"metadata": {"annotations": {"a/b~c": "x"}}})
            );
            assert_eq!(editor.ops.len(), 1);
        }
    }

    #[test]
    fn keys_with_slash_and_tilde_are_escaped() {
        let mut editor = Editor::new(&json!({"m": {}}));
        editor
            .set(&path(&["m", "a/b~c"]), json!(1))
            .unwrap_or_default();
        assert_eq!(
            ops(editor),
            json!([{"op": "add", "path": "/m/a~1b~0c", "value": 1}])
        );
    }

    #[test]
    fn an_equal_value_records_nothing() {
        let mut editor = Editor::new(&json!({"a": {"b": 1}}));
        editor.set(&path(&["a", "b"]), json!(1)).unwrap_or_default();
        assert_eq!(ops(editor), json!([]));
    }

    #[test]
    fn a_parent_of_the_wrong_type_is_refused() {
        let mut editor = Editor::new(&json!({"a": "text"}));
        assert!(editor.set(&path(&["a", "b", "c"]), json!(1)).is_err());
    }
}
