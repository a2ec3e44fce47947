//! Objects that hold containers which are not injected offline, and which `inject check` cannot plan: found, and said
//! with the way to the webhook.

use serde_json::Value;

use super::kinds;
use super::lists::Item;
use super::workloads::{self, Workload};

/// What is known of a kind that is not known here.
const CONTROLLER: &str = "its controller makes the pods";

/// An object that holds containers outside of every pod that is known here.
pub(crate) struct Unseen {
    title: String,
    place: String,
    /// Why no injection here can be right, and how its pods ask for the webhook's.
    hint: Option<&'static str>,
    pub(crate) labelled: bool,
}

/// Containers that nothing here injects, one finding for each object.
pub(crate) fn find(items: &[Item<'_>]) -> Vec<Unseen> {
    items.iter().filter_map(find_in).collect()
}

fn find_in(item: &Item<'_>) -> Option<Unseen> {
    let object = item.value;
    let within = |workload: Workload| {
        workload
            .pointer
            .strip_prefix(&item.pointer)
            .map(str::to_owned)
    };
    let known: Vec<String> = workloads::in_item(item)
        .into_iter()
        .filter_map(within)
        .collect();
    let hint = kinds::merged_elsewhere(item.group(), item.kind);
    let metadata = object.get("metadata").unwrap_or(&Value::Null);
    let name = metadata.get("name").and_then(Value::as_str);
    // An InferenceService need not hold a container to become a pod.
    let place = kinds::other_containers(object, &known)
        .into_iter()
        .next()
        .or_else(|| hint.map(|_| "/spec".to_owned()))?;
    Some(Unseen {
        title: format!("{}/{}", item.kind, name.unwrap_or_default()),
        place,
        hint,
        labelled: kinds::asks_for_injection(object),
    })
}

impl Unseen {
    /// The line of `inject check` about it.
    pub(crate) fn note(&self, namespace: &str) -> String {
        let Self { title, place, .. } = self;
        let hint = self.hint.unwrap_or(CONTROLLER);
        format!(
            "{title} in {namespace}: containers at {place} are not checked: {hint}; the webhook reviews those pods when they are created"
        )
    }

    /// The line about it.
    pub(crate) fn warning(&self) -> String {
        let Self { title, place, .. } = self;
        let hint = self.hint.unwrap_or(CONTROLLER);
        format!(
            "warning: {title}: containers at {place} are not injected here: {hint}; the webhook injects those pods, if it is installed and their labels ask for it"
        )
    }
}
