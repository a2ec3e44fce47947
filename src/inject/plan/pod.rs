//! Reading a pod as raw JSON: shape check and accessors. Nothing here writes, and nothing here
//! knows a typed Pod, so that a field this program has never heard of survives untouched.

use serde_json::{Map, Value};

use super::deny::{Deny, Reason};

/// The two lists that hold containers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum List {
    App,
    Init,
}

impl List {
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::App => "containers",
            Self::Init => "initContainers",
        }
    }
}

/// Where a container sits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) list: List,
    pub(crate) index: usize,
}

/// A container together with where it sits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot<'a> {
    pub(crate) list: List,
    pub(crate) index: usize,
    pub(crate) value: &'a Value,
}

impl Slot<'_> {
    pub(crate) fn name(&self) -> &str {
        name(self.value)
    }

    pub(crate) fn place(&self) -> Place {
        Place {
            list: self.list,
            index: self.index,
        }
    }

    /// An init container that runs beside the app.
    pub(crate) fn is_native_sidecar(&self) -> bool {
        self.list == List::Init && string(self.value, "restartPolicy") == Some("Always")
    }

    /// The JSON pointer tokens of a field of this container.
    pub(crate) fn path(&self, rest: &[&str]) -> Vec<String> {
        let mut path = vec![
            "spec".into(),
            self.list.key().into(),
            self.index.to_string(),
        ];
        path.extend(rest.iter().map(|s| (*s).to_owned()));
        path
    }
}

/// Refuses a pod whose skeleton is not that of a pod, so that later steps may read it leniently.
pub(crate) fn check_shape(pod: &Value) -> Result<(), Deny> {
    let spec = pod
        .get("spec")
        .filter(|spec| spec.is_object())
        .ok_or_else(|| malformed("spec is missing or not an object"))?;
    if !pod.is_object() || array(spec, "containers").is_empty() {
        return Err(malformed("spec.containers is missing, empty or not a list"));
    }
    for key in ["containers", "initContainers", "volumes"] {
        check_named_list(spec, key)?;
    }
    for key in ["annotations", "labels"] {
        check_string_map(pod, key)?;
    }
    Ok(())
}

fn check_named_list(spec: &Value, key: &str) -> Result<(), Deny> {
    match spec.get(key) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(items)) if items.iter().all(has_name) => Ok(()),
        Some(Value::Array(_)) => Err(malformed(&format!(
            "spec.{key} has an entry without a name"
        ))),
        Some(_) => Err(malformed(&format!("spec.{key} is not a list"))),
    }
}

fn has_name(item: &Value) -> bool {
    item.get("name").is_some_and(Value::is_string)
}

fn check_string_map(pod: &Value, key: &str) -> Result<(), Deny> {
    match pod.get("metadata").and_then(|m| m.get(key)) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Object(map)) => match map.iter().find(|(_, value)| !value.is_string()) {
            None => Ok(()),
            Some((name, _)) => Err(malformed(&format!(
                "metadata.{key}: {name:?} is not a string (quote numbers and booleans)"
            ))),
        },
        Some(_) => Err(malformed(&format!(
            "metadata.{key} is not a map of strings"
        ))),
    }
}

fn malformed(what: &str) -> Deny {
    Reason::Malformed.deny(format!("this is not a valid pod: {what}"))
}

/// The list under `key`, empty when absent, null or of another type.
pub(crate) fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

pub(crate) fn string<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

pub(crate) fn name(container: &Value) -> &str {
    string(container, "name").unwrap_or_default()
}

pub(crate) fn spec(pod: &Value) -> &Value {
    pod.get("spec").unwrap_or(&Value::Null)
}

/// `metadata.annotations` or `metadata.labels`, when there are any.
pub(crate) fn metadata<'a>(pod: &'a Value, key: &str) -> Option<&'a Map<String, Value>> {
    pod.get("metadata")?.get(key)?.as_object()
}

/// Where a pod will be, if it says so; a template never does.
pub(crate) fn namespace(pod: &Value) -> Option<&str> {
    string(pod.get("metadata")?, "namespace")
}

pub(crate) fn slots(pod: &Value, list: List) -> impl Iterator<Item = Slot<'_>> {
    array(spec(pod), list.key())
        .iter()
        .enumerate()
        .map(move |(index, value)| Slot { list, index, value })
}

/// The container at `place`; null when there is none.
pub(crate) fn at(pod: &Value, place: Place) -> &Value {
    array(spec(pod), place.list.key())
        .get(place.index)
        .unwrap_or(&Value::Null)
}

pub(crate) fn all_slots(pod: &Value) -> impl Iterator<Item = Slot<'_>> {
    slots(pod, List::App).chain(slots(pod, List::Init))
}

/// A declared TCP port of a container.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Port<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) number: u16,
}

pub(crate) fn tcp_ports(container: &Value) -> Vec<Port<'_>> {
    array(container, "ports")
        .iter()
        .filter(|port| string(port, "protocol").is_none_or(|p| p == "TCP"))
        .filter_map(|port| {
            Some(Port {
                name: string(port, "name"),
                number: port_number(port.get("containerPort")?)?,
            })
        })
        .collect()
}

pub(crate) fn port_number(value: &Value) -> Option<u16> {
    value
        .as_u64()
        .and_then(|n| u16::try_from(n).ok())
        .filter(|n| *n != 0)
}

/// `command` followed by `args`: what the container runs, as far as the manifest says.
pub(crate) fn argv(container: &Value) -> Vec<&str> {
    ["command", "args"]
        .iter()
        .flat_map(|key| array(container, key))
        .filter_map(Value::as_str)
        .collect()
}

/// The literal value of an environment variable.
pub(crate) fn env<'a>(container: &'a Value, name: &str) -> Option<&'a str> {
    array(container, "env")
        .iter()
        .rev()
        .find(|entry| string(entry, "name") == Some(name))
        .and_then(|entry| string(entry, "value"))
}
