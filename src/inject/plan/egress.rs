//! The other half of a connection in a pod: that its addresses are free, and that the app knows them.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value;
use serde_json::json;

use super::annotations::{Egress, EgressEntry, Request};
use super::catalog;
use super::deny::{Deny, Reason};
use super::editor::Editor;
use super::known_annotations::of_ingress;
use super::names::{ADMIN_PORT, NAME, PREFIX, TUNNEL_PORT};
use super::pod::{self, List, Slot};
use super::ports::Exposed;
use super::trace::Trace;
use crate::listener::reaches;
use crate::proxy::Target;

/// Refuses what cannot run, or has no effect, in this pod.
pub(crate) fn check(
    pod: &Value,
    request: &Request,
    exposed: &[Exposed],
    trace: &mut Trace,
) -> Result<(), Deny> {
    if request.tunnel {
        tunnel_port(pod)?;
    } else if exposed.is_empty() {
        nothing_for_ingress(pod)?;
    }
    let Some(egress) = &request.egress else {
        return Ok(());
    };
    let declared: Vec<u16> = pod::all_slots(pod)
        .filter(|slot| slot.name() != NAME)
        .flat_map(|slot| pod::tcp_ports(slot.value))
        .map(|port| port.number)
        .collect();
    for entry in &egress.entries {
        let port = entry.listen.port();
        let of_app = |e: &Exposed| e.app == port || e.listen == port;
        let taken = if port == ADMIN_PORT || (request.tunnel && port == TUNNEL_PORT) {
            Some("the sidecar's own")
        } else if declared.contains(&port) || exposed.iter().any(of_app) {
            Some("the app's, which would not start there")
        } else {
            None
        };
        if let Some(whose) = taken {
            return Err(Reason::PortConflict.about(
                "egress",
                &format!(
                    ": {} listens on port {port}, which is {whose}; choose another",
                    entry.name
                ),
            ));
        }
        if leads_to_admin(entry) {
            return Err(Reason::AnnotationValue.about("egress", &format!(
                    ": {} has a target at port {ADMIN_PORT}, which is the sidecar's admin port; write the server's own address",
                    entry.name
                )));
        }
        let listener = exposed
            .iter()
            .any(|e| entry.name == format!("port-{}", e.listen));
        if listener || ["admin", "tunnel"].contains(&entry.name.as_str()) {
            return Err(Reason::AnnotationValue.about("egress", &format!(
                    ": {:?} is the name of a port of the sidecar in metrics and logs; choose another",
                    entry.name
                )));
        }
        if port < 1024 {
            trace.warn(format!("egress {} listens on port {port}, below 1024, and the sidecar has no capability: the node must set net.ipv4.ip_unprivileged_port_start=0 (containerd 2 and CRI-O do), or choose a higher port", entry.name));
        }
    }
    explain(egress, trace);
    Ok(())
}

/// A target that the sidecar refuses at its start: from loopback its admin port takes commands.
fn leads_to_admin(entry: &EgressEntry) -> bool {
    let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, ADMIN_PORT));
    let target = entry.target.as_deref().and_then(|text| text.parse().ok());
    let address = target.as_ref().and_then(Target::address);
    address.is_some_and(|address| reaches(address, admin))
}

fn tunnel_port(pod: &Value) -> Result<(), Deny> {
    let taken = pod::all_slots(pod)
        .filter(|slot| slot.name() != NAME)
        .find(|slot| {
            pod::tcp_ports(slot.value)
                .iter()
                .any(|port| port.number == TUNNEL_PORT)
        });
    match taken {
        None => Ok(()),
        Some(slot) => Err(Reason::PortConflict.deny(format!(
                "container {:?} declares port {TUNNEL_PORT}, where the sidecar takes tunnels (annotation hybridge.dev/tunnel); move it to another",
                slot.name()
            ))),
    }
}

/// A namespace may say it for its other pods.
fn nothing_for_ingress(pod: &Value) -> Result<(), Deny> {
    let annotations = pod::metadata(pod, "annotations");
    let own = |name: &&str| {
        annotations.is_some_and(|given| given.contains_key(&format!("{PREFIX}{name}")))
    };
    match of_ingress().find(own) {
        None => Ok(()),
        Some(name) => Err(Reason::AnnotationValue.about(name,
                " has no effect: no port of this pod is behind TLS, only its own connections are (hybridge.dev/egress); name the app's port in hybridge.dev/ports, or remove it"
            )),
    }
}

fn explain(egress: &Egress, trace: &mut Trace) {
    for entry in &egress.entries {
        let way = match (&egress.capture, &entry.target) {
            (None, Some(target)) => format!("to {target}"),
            (Some(capture), Some(target)) => {
                format!("by {}, through the tunnel of {target}", capture.name)
            }
            (capture, None) => format!("by {}", capture.as_ref().map_or("", |c| c.name)),
        };
        trace.step(
            format!("egress {}: {} {way}, servers certified by {}", entry.name, entry.listen, egress.ca.title()),
            "asked for by annotation; the app speaks plaintext to loopback, and it is TLS from there",
        );
    }
}

/// Tells the app's containers; one that has another value knows better, or does not know: refused.
pub(crate) fn put_env(
    editor: &mut Editor,
    request: &Request,
    trace: &mut Trace,
) -> Result<(), Deny> {
    let Some(egress) = &request.egress else {
        return Ok(());
    };
    let pod = editor.pod().clone();
    for (variable, value) in &egress.env {
        let wanted = json!({"name": variable, "value": value});
        for slot in apps(&pod) {
            match pod::array(slot.value, "env")
                .iter()
                .find(|e| pod::name(e) == variable)
            {
                Some(found) if *found == wanted => {}
                Some(found) => return Err(another_value(&slot, variable, found)),
                None => editor.push(&slot.path(&["env"]), wanted.clone())?,
            }
        }
        trace.step(
            format!("{variable} in the app's containers"),
            "asked for by annotation hybridge.dev/egress-env",
        );
    }
    Ok(())
}

/// Says where the two values are and neither of them: a variable may be a credential.
fn another_value(slot: &Slot<'_>, variable: &str, found: &Value) -> Deny {
    let has = match pod::string(found, "value") {
        Some(_) => "another value",
        None if found.get("valueFrom").is_some() => "a value from elsewhere (valueFrom)",
        None => "an empty value",
    };
    Reason::AnnotationValue.about("egress-env", &format!(
            " sets {variable}, and container {:?} has {has} for it; remove the variable there, or take it out of the annotation",
            slot.name()
        ))
}

/// Takes out of the app's containers what the annotation put there.
pub(crate) fn take_out_env(
    editor: &mut Editor,
    request: &Request,
    trace: &mut Trace,
) -> Result<(), Deny> {
    for (variable, value) in request.egress.iter().flat_map(|egress| &egress.env) {
        let wanted = json!({"name": variable, "value": value});
        let pod = editor.pod().clone();
        for slot in apps(&pod) {
            let env = pod::array(slot.value, "env");
            let Some(index) = env.iter().position(|entry| *entry == wanted) else {
                continue;
            };
            editor.remove(&slot.path(&["env", &index.to_string()]))?;
            editor.prune(&slot.path(&["env"]))?;
            trace.warn(format!("container {}: {variable} is gone, which annotation hybridge.dev/egress-env set; say where the app is to connect without a sidecar", slot.name()));
        }
    }
    Ok(())
}

/// The app's containers, without the infrastructure of other systems and without our own.
fn apps(pod: &Value) -> impl Iterator<Item = Slot<'_>> {
    pod::slots(pod, List::App)
        .filter(|slot| slot.name() != NAME && !catalog::is_infrastructure(slot.value))
}
