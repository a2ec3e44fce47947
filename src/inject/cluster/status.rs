//! `inject status`: per namespace, which pods have the sidecar, in which version and with which policy,
//! and which should have it and do not.

use std::collections::BTreeMap;

use serde_json::Value;

use super::objects::{Cluster, UNHEARD, is_wanted, name, namespace};
use super::report::Report;
use crate::inject::plan::names::{NAME, STATUS};
use crate::inject::plan::pod;

/// What prints all that counts.
const INPUT: &str = "kubectl get namespaces,mutatingwebhookconfigurations,pods -A -o json";

#[derive(Default)]
struct Row {
    injected: usize,
    missing: usize,
    without: usize,
    versions: BTreeMap<String, usize>,
    policies: BTreeMap<String, usize>,
    clients: BTreeMap<String, usize>,
}

pub(super) fn report(cluster: &Cluster) -> Report {
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    let mut remarks: Vec<String> = Vec::new();
    let mut failures = 0;
    for object in cluster.of_kind("Pod").filter(|object| !is_over(object)) {
        let row = rows.entry(namespace(object)).or_default();
        let title = format!("{}/{}", namespace(object), name(object));
        let wanted = is_wanted(cluster.asked(namespace(object)), object);
        match sidecar(object) {
            Some(found) => {
                row.injected += 1;
                *row.versions.entry(version(found)).or_default() += 1;
                *row.policies.entry(policy(found)).or_default() += 1;
                if let Some(mode) = pod::env(found, "HYBRIDGE_CLIENT_AUTH") {
                    let clients = format!("client-auth {mode}");
                    *row.clients.entry(clients).or_default() += 1;
                }
                if pod::env(found, "HYBRIDGE_SPIFFE").is_some() {
                    *row.clients.entry("spiffe".to_owned()).or_default() += 1;
                }
                if !is_ready(object) {
                    remarks.push(format!(
                        "not ready  {title}: its sidecar says why: kubectl -n {} logs {} -c {NAME}",
                        namespace(object),
                        name(object)
                    ));
                }
            }
            None if wanted => {
                row.missing += 1;
                failures += 1;
                remarks.push(format!("missing    {title}: it was created before the label, or while no webhook was there; restart {}", owner(object)));
            }
            None => row.without += 1,
        }
    }
    let mut lines = table(&rows);
    lines.append(&mut remarks);
    // What was left out may be the pod that lacks its sidecar.
    failures += cluster.odd.len();
    lines.extend(
        cluster
            .odd
            .iter()
            .map(|what| format!("not read   {what}; give {INPUT} as it is")),
    );
    for name in cluster.unheard() {
        failures += 1;
        lines.push(format!("not seen   namespace {name}: {UNHEARD}"));
    }
    if cluster.namespaces.is_empty() {
        lines.push(format!(
            "note: there are no namespaces in the input, so only labels of pods count; give {INPUT}"
        ));
    }
    if cluster
        .of_kind("MutatingWebhookConfiguration")
        .next()
        .is_none()
    {
        lines.push(format!("note: there is no webhook configuration in the input, so namespaces that the chart enforces by name do not count; give {INPUT}"));
    }
    Report { lines, failures }
}

fn table(rows: &BTreeMap<&str, Row>) -> Vec<String> {
    if rows.is_empty() {
        return vec![format!("no pods in the input; give {INPUT}")];
    }
    let width = rows.keys().map(|name| name.len()).max().unwrap_or(0).max(9);
    let mut lines = vec![format!(
        "{:width$}  {:>8}  {:>7}  {:>7}  VERSIONS, POLICIES",
        "NAMESPACE", "INJECTED", "MISSING", "WITHOUT"
    )];
    for (name, row) in rows {
        let kinds: Vec<String> = row
            .versions
            .iter()
            .chain(&row.policies)
            .chain(&row.clients)
            .map(|(what, count)| format!("{what} ({count})"))
            .collect();
        let line = format!(
            "{name:width$}  {:>8}  {:>7}  {:>7}  {}",
            row.injected,
            row.missing,
            row.without,
            kinds.join(", ")
        );
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// Pods that have ended need nothing any more.
fn is_over(object: &Value) -> bool {
    let phase = object.pointer("/status/phase").and_then(Value::as_str);
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// The sidecar of a pod that the injector marked.
fn sidecar(object: &Value) -> Option<&Value> {
    pod::metadata(object, "annotations")?.get(STATUS)?;
    pod::all_slots(object)
        .find(|slot| slot.name() == NAME)
        .map(|slot| slot.value)
}

/// The policy of its listeners, or of its egress where it has none.
fn policy(sidecar: &Value) -> String {
    let of_egress = || pod::env(sidecar, "HYBRIDGE_EGRESS_POLICY").map(|p| format!("egress {p}"));
    let of_listeners = pod::env(sidecar, "HYBRIDGE_POLICY").map(str::to_owned);
    of_listeners
        .or_else(of_egress)
        .unwrap_or_else(|| "?".to_owned())
}

/// What follows the image's name: its tag or the beginning of its digest.
fn version(sidecar: &Value) -> String {
    let image = pod::string(sidecar, "image").unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    match last.split_once(['@', ':']) {
        Some((_, version)) => version.chars().take(19).collect(),
        None => "?".into(),
    }
}

fn is_ready(object: &Value) -> bool {
    let statuses = ["initContainerStatuses", "containerStatuses"].into_iter();
    let status = object.get("status").unwrap_or(&Value::Null);
    let own = statuses
        .flat_map(|list| pod::array(status, list))
        .find(|entry| pod::name(entry) == NAME);
    own.is_none_or(|entry| entry.get("ready").and_then(Value::as_bool) != Some(false))
}

fn owner(object: &Value) -> String {
    let metadata = object.get("metadata").unwrap_or(&Value::Null);
    match pod::array(metadata, "ownerReferences").first() {
        Some(owner) => format!(
            "its owner ({} {})",
            pod::string(owner, "kind").unwrap_or_default(),
            pod::name(owner)
        ),
        None => "it".into(),
    }
}
