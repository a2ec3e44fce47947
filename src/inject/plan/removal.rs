//! Taking the sidecar out of a manifest again: probes, hooks and listen addresses go back, what the
//! injector added goes. What it cannot know (a variable named by bind-env) is said.

use serde_json::{Map, Value, json};

use super::annotations::{self, Mode};
use super::bind;
use super::deny::Deny;
use super::drain_gate;
use super::editor::{Editor, path};
use super::egress;
use super::names::{AGENT_VOLUME, NAME, STATUS, TLS_VOLUME};
use super::outcome::Plan;
use super::pod::{self, List};
use super::ports;
use super::previous;
use super::probe_rewrite::{HOOKS, PROBES, rewritten_path, without_handlers};
use super::sealed;
use super::settings::Settings;
use super::trace::Trace;
use crate::probes::{Probe, ProbeKind, ProbeTable};

/// Plans the removal of the sidecar from a pod that says its namespace itself.
pub fn remove(pod: &Value, settings: &Settings) -> Result<Plan, Deny> {
    remove_in(pod::namespace(pod), pod, settings)
}

/// Plans the removal of the sidecar from a pod, or a template, in `namespace`. One that the injector did
/// not touch stays as it is.
pub fn remove_in(namespace: Option<&str>, pod: &Value, settings: &Settings) -> Result<Plan, Deny> {
    let title = |name: &str| annotations::title(pod, namespace, settings, name);
    take_out(namespace, pod, settings).map_err(|deny| deny.said_of(title))
}

fn take_out(namespace: Option<&str>, pod: &Value, settings: &Settings) -> Result<Plan, Deny> {
    pod::check_shape(pod)?;
    let status = pod::metadata(pod, "annotations").and_then(|given| given.get(STATUS));
    if status.is_none() {
        return Ok(Plan::skipped(
            pod,
            "the pod has no annotation hybridge.dev/status, so there is nothing to remove",
        ));
    }
    let mut trace = Trace::default();
    let previous = previous::read(pod, settings)?;
    let request = annotations::parse(pod, namespace, settings)?;
    let mut editor = Editor::new(pod);
    restore_calls(&mut editor, &previous.table, &mut trace)?;
    if request.mode == Mode::Takeover {
        let exposed = ports::choose(pod, &request, &previous.ports)?;
        bind::to_every_address(&mut editor, &exposed, &request, &mut trace)?;
    }
    for list in [List::Init, List::App] {
        editor.take_named(list.key(), NAME)?;
    }
    for volume in [TLS_VOLUME, AGENT_VOLUME] {
        editor.take_named("volumes", volume)?;
    }
    sealed::take_out(&mut editor)?;
    egress::take_out_env(&mut editor, &request, &mut trace)?;
    editor.remove(&path(&["metadata", "annotations", STATUS]))?;
    for place in [&["metadata", "annotations"][..], &["metadata"]] {
        editor.prune(&path(place))?;
    }
    trace.step(
        "sidecar, volume and annotation hybridge.dev/status: removed",
        "asked for with --remove",
    );
    Ok(Plan::new(editor, trace))
}

/// Probes and hooks reach the app itself again; the drain gate goes.
fn restore_calls(editor: &mut Editor, table: &ProbeTable, trace: &mut Trace) -> Result<(), Deny> {
    let pod = editor.pod().clone();
    for slot in pod::all_slots(&pod).filter(|slot| slot.name() != NAME) {
        for (field, _) in PROBES {
            let handler = slot.value.get(*field).and_then(Value::as_object);
            if let Some(restored) = handler.and_then(|handler| original(handler, table)) {
                trace.step(
                    format!("{field} of container {}: asks the app itself", slot.name()),
                    "the sidecar that answered it goes; a port that had a name is a number now",
                );
                editor.set(&slot.path(&[field]), restored)?;
            }
        }
        for hook in HOOKS {
            let Some(handler) = slot
                .value
                .get("lifecycle")
                .and_then(|lifecycle| lifecycle.get(*hook))
                .and_then(Value::as_object)
            else {
                continue;
            };
            let at = slot.path(&["lifecycle", hook]);
            if rewritten_path(handler).is_some_and(|path| path.starts_with(drain_gate::PATH)) {
                editor.remove(&at)?;
                editor.prune(&slot.path(&["lifecycle"]))?;
            } else if let Some(restored) = original(handler, table) {
                editor.set(&at, restored)?;
            }
        }
    }
    Ok(())
}

fn original(handler: &Map<String, Value>, table: &ProbeTable) -> Option<Value> {
    let probe = table.lookup(rewritten_path(handler)?)?;
    let mut restored = without_handlers(handler);
    let (key, action) = action(probe);
    restored.insert(key.into(), action);
    Some(Value::Object(restored))
}

fn action(probe: &Probe) -> (&'static str, Value) {
    let mut action = json!({"port": probe.port});
    match probe.kind {
        ProbeKind::Http => {
            action["path"] = json!(probe.target.as_deref().unwrap_or("/"));
            action["scheme"] = json!("HTTP");
            if !probe.headers.is_empty() {
                let headers = probe.headers.iter();
                action["httpHeaders"] = headers
                    .map(|header| json!({"name": header.name, "value": header.value}))
                    .collect();
            }
            ("httpGet", action)
        }
        ProbeKind::Grpc => {
            if let Some(service) = &probe.service {
                action["service"] = json!(service);
            }
            ("grpc", action)
        }
        ProbeKind::Tcp => ("tcpSocket", action),
    }
}
