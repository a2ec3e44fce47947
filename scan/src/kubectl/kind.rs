//! What an object is: its kind, its version and its API group.

use serde_json::Value;

/// The kind and the version of an object: its own, else what its list is for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Of<'a> {
    pub(super) kind: &'a str,
    version: &'a str,
}

impl<'a> Of<'a> {
    pub(super) fn read(object: &'a Value, list: Self) -> Self {
        match text(object, "/kind").filter(|kind| !kind.is_empty()) {
            Some(kind) => Self {
                kind,
                version: text(object, "/apiVersion").unwrap_or_default(),
            },
            None => Self {
                kind: list.kind,
                version: text(object, "/apiVersion").unwrap_or(list.version),
            },
        }
    }

    /// The API group, empty for the core group and for an object that does not say it.
    pub(super) fn group(self) -> &'a str {
        self.version.split_once('/').map_or("", |(group, _)| group)
    }

    /// What the items of a list are: `kubectl get --raw` prints a `ServiceList` whose items say no kind.
    pub(super) fn items(self) -> Self {
        match self.kind.strip_suffix("List") {
            Some(kind) if !kind.is_empty() => Self { kind, ..self },
            _ => Self::default(),
        }
    }
}

pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}
