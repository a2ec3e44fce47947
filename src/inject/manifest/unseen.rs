//! Objects that hold containers which are not injected offline: found, and said with the way to the
//! webhook.

use std::io::Write;

use serde_json::Value;

use super::kinds;
use super::workloads;

/// An object that holds containers outside of every pod that is known here.
pub(crate) struct Unseen {
    title: String,
    place: String,
    /// Why no injection here can be right, and how its pods ask for the webhook's.
    hint: Option<&'static str>,
    pub(crate) labelled: bool,
}

/// Containers that nothing here injects, one finding for each object.
pub(crate) fn find(object: &Value) -> Vec<Unseen> {
    // Items of a typed list, such as DeploymentList, say no kind of their own.
    let is_list = object.get("kind").and_then(Value::as_str) == Some("List");
    let items = object.get("items").and_then(Value::as_array);
    let objects = items
        .filter(|_| is_list)
        .map_or_else(|| vec![object], |items| items.iter().collect());
    objects.into_iter().filter_map(find_in).collect()
}

fn find_in(object: &Value) -> Option<Unseen> {
    let workloads = workloads::find(object);
    let known: Vec<String> = workloads.into_iter().map(|w| w.pointer).collect();
    let text = |value: &Value, key: &str| {
        let text = value.get(key).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let metadata = object.get("metadata").unwrap_or(&Value::Null);
    let version = text(object, "apiVersion");
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let hint = kinds::merged_elsewhere(group, &text(object, "kind"));
    // An InferenceService need not hold a container to become a pod.
    let place = kinds::other_containers(object, &known)
        .into_iter()
        .next()
        .or_else(|| hint.map(|_| "/spec".to_owned()))?;
    Some(Unseen {
        title: format!("{}/{}", text(object, "kind"), text(metadata, "name")),
        place,
        hint,
        labelled: kinds::asks_for_injection(object),
    })
}

pub(crate) fn warn(unseen: &[Unseen], notices: &mut impl Write) -> std::io::Result<()> {
    for found in unseen {
        let Unseen { title, place, .. } = found;
        let hint = found.hint.unwrap_or("its controller makes the pods");
        writeln!(
            notices,
            "warning: {title}: containers at {place} are not injected here: {hint}; the webhook injects those pods, if it is installed and their labels ask for it"
        )?;
    }
    Ok(())
}
