//! What the bill says alike of listeners and egresses.

use std::collections::BTreeMap;

use hybridge_scan::groups;

/// By group and kind.
pub(super) type Handshakes = BTreeMap<String, BTreeMap<String, u64>>;

/// Groups by the names that a bill has for them.
pub(super) fn listed(names: &[String]) -> Vec<String> {
    names.iter().map(|name| groups::as_listed(name)).collect()
}

/// A property of ours.
pub(super) fn named(name: &str, value: String) -> (String, String) {
    (format!("hybridge:{name}"), value)
}

/// How many handshakes there were with each group.
pub(super) fn handshakes(observed: &Handshakes) -> impl Iterator<Item = (String, String)> {
    observed.iter().map(|(group, kinds)| {
        let count: u64 = kinds.values().sum();
        let name = format!("observed:handshakes:{}", groups::as_listed(group));
        named(&name, count.to_string())
    })
}
