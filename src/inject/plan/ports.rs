//! Which ports go behind TLS, which container owns each, and where the sidecar listens for it.

mod owners;
mod warnings;

use std::collections::HashMap;

use serde_json::Value;

use super::annotations::{Mode, NO_PORTS, Request};
use super::catalog;
use super::deny::{Deny, Reason};
use super::names::{ADMIN_PORT, NAME};
use super::pod::{self, List, Place, Slot};
use owners::Owners;
pub(crate) use warnings::warn;

/// Declared ports that a message lists.
const MOST_SHOWN: usize = 20;

/// One port of the app and where the sidecar serves it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Exposed {
    pub(crate) app: u16,
    pub(crate) listen: u16,
    /// The container that listens on `app`.
    pub(crate) owner: Place,
}

/// Decides on the ports; `previous` is what an earlier run recorded, used only where the pod itself leaves a choice.
pub(crate) fn choose(
    pod: &Value,
    request: &Request,
    previous: &[u16],
) -> Result<Vec<Exposed>, Deny> {
    if has_none(pod, request)? {
        return Ok(Vec::new());
    }
    let numbers = match &request.ports {
        Some(wanted) => {
            let named = named(pod);
            let wanted = wanted.iter();
            wanted
                .map(|item| resolve(pod, &named, item))
                .collect::<Result<_, _>>()?
        }
        None => vec![only_port(pod, request, previous)?],
    };
    refuse_repeats(&numbers)?;
    let explicit = request.mode == Mode::Explicit;
    if explicit && !request.listen_ports.is_empty() && request.listen_ports.len() != numbers.len() {
        return Err(Reason::PortConflict.about(
            "listen-port",
            &format!(
                " names {} ports, hybridge.dev/ports {}; give as many",
                request.listen_ports.len(),
                numbers.len()
            ),
        ));
    }
    let owners = Owners::of(&candidates(pod).collect::<Vec<_>>());
    let mut serving: Vec<Place> = Vec::new();
    let exposed = numbers
        .iter()
        .enumerate()
        .map(|(position, &app)| {
            let listen = if explicit {
                request.listen_port(position)
            } else {
                Some(app)
            };
            let listen = listen.ok_or_else(|| {
                conflict("there is no port left after hybridge.dev/listen-port".into())
            })?;
            let slot = owners.owner(app)?;
            if !serving.contains(&slot.place()) {
                refuse_owner(&slot, app, explicit)?;
                serving.push(slot.place());
            }
            Ok(Exposed {
                app,
                listen,
                owner: slot.place(),
            })
        })
        .collect::<Result<Vec<_>, Deny>>()?;
    refuse_collisions(pod, &exposed, explicit)?;
    Ok(exposed)
}

/// Whether no port of the app is to be behind TLS: the sidecar takes tunnels, or serves only what the app
/// begins itself.
fn has_none(pod: &Value, request: &Request) -> Result<bool, Deny> {
    if request.tunnel {
        return Ok(true);
    }
    match request.ports.as_deref() {
        Some([only]) if only == NO_PORTS => {
            if request.egress.is_some() {
                return Ok(true);
            }
            Err(Reason::PortsRequired.about("ports", " is none, which leaves the sidecar nothing to do; add hybridge.dev/egress or hybridge.dev/tunnel: enabled, or label the pod hybridge.dev/inject: disabled"))
        }
        Some(_) => Ok(false),
        None => Ok(request.egress.is_some()
            && declared(pod).is_empty()
            && undeclared_port(pod).is_none()),
    }
}

fn conflict(message: String) -> Deny {
    Reason::PortConflict.deny(message)
}

/// The ports that have names; of two with one name the first counts.
fn named(pod: &Value) -> HashMap<&str, u16> {
    let mut named = HashMap::new();
    for port in candidates(pod).flat_map(|slot| pod::tcp_ports(slot.value)) {
        if let Some(name) = port.name {
            named.entry(name).or_insert(port.number);
        }
    }
    named
}

fn resolve(pod: &Value, named: &HashMap<&str, u16>, item: &str) -> Result<u16, Deny> {
    if item.bytes().all(|b| b.is_ascii_digit()) {
        return item.parse().ok().filter(|n| *n != 0).ok_or_else(|| {
            Reason::AnnotationValue
                .about("ports", &format!(": {item} is not a port from 1 to 65535"))
        });
    }
    named.get(item).copied().ok_or_else(|| {
        Reason::AnnotationValue.about(
            "ports",
            &format!(
                ": no container declares a TCP port named {item:?}; declared are {}",
                declared_text(pod)
            ),
        )
    })
}

/// Containers that may own a port: the app's and native sidecars of others, such as a router in front of
/// the model server; without the infrastructure of other systems and without our own.
fn candidates(pod: &Value) -> impl Iterator<Item = Slot<'_>> {
    let native = pod::slots(pod, List::Init).filter(Slot::is_native_sidecar);
    pod::slots(pod, List::App)
        .chain(native)
        .filter(|slot| !catalog::is_infrastructure(slot.value) && slot.name() != NAME)
}

/// A native sidecar started before ours or after it, and what it forwards to, is not ours to move; and a
/// container that serves nobody needs no TLS.
fn refuse_owner(slot: &Slot<'_>, port: u16, explicit: bool) -> Result<(), Deny> {
    let name = slot.name();
    if let Some(why) = catalog::serves_nobody(slot.value) {
        return Err(Reason::NoServer.deny(format!(
                "container {name:?} serves no clients ({why}); label its pod hybridge.dev/inject: disabled"
            )));
    }
    if slot.is_native_sidecar() && !explicit {
        return Err(Reason::NotMovable.deny(format!(
                "port {port} is owned by the native sidecar {name:?}, which cannot be moved to loopback; use annotation hybridge.dev/mode: explicit, or move it to 127.0.0.1 and another port yourself and name the app's port in hybridge.dev/ports"
            )));
    }
    Ok(())
}

fn declared(pod: &Value) -> Vec<u16> {
    let mut ports: Vec<u16> = candidates(pod)
        .flat_map(|slot| pod::tcp_ports(slot.value))
        .map(|p| p.number)
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn declared_text(pod: &Value) -> String {
    let mut ports = candidates(pod).flat_map(|slot| {
        let owner = pod::name(slot.value);
        let ports = pod::tcp_ports(slot.value).into_iter();
        ports.map(move |port| match port.name {
            Some(name) => format!("{} ({name}, {owner})", port.number),
            None => format!("{} ({owner})", port.number),
        })
    });
    let shown: Vec<String> = ports.by_ref().take(MOST_SHOWN).collect();
    match (shown.is_empty(), ports.count()) {
        (true, _) => "none".into(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

fn only_port(pod: &Value, request: &Request, previous: &[u16]) -> Result<u16, Deny> {
    let ports = declared(pod);
    match ports.as_slice() {
        [only] => Ok(*only),
        [] => undeclared_port(pod).ok_or_else(|| {
            Reason::PortsRequired.deny("no container declares a TCP port; name the app's port in annotation hybridge.dev/ports, or label the pod hybridge.dev/inject: disabled if it serves no clients")
        }),
        // A sidecar that came later must not turn an earlier choice into a refusal.
        _ => match previous {
            [chosen] if ports.contains(chosen) => Ok(*chosen),
            _ => Err(Reason::PortsRequired.deny(format!(
                "the pod declares several TCP ports ({}); name those to put behind TLS in annotation hybridge.dev/ports{}",
                declared_text(pod),
                if request.egress.is_some() { ", or none" } else { "" }
            ))),
        },
    }
}

/// The port of a pod that declares none: what its only recognised server listens on.
fn undeclared_port(pod: &Value) -> Option<u16> {
    let mut known =
        candidates(pod).filter_map(|slot| Some((catalog::recognise(slot.value)?, slot)));
    let (server, slot) = known.next()?;
    if known.next().is_some() {
        return None;
    }
    catalog::moved_port(server, slot.value).or(match server.ports {
        [only] => Some(*only),
        _ => None,
    })
}

fn refuse_repeats(numbers: &[u16]) -> Result<(), Deny> {
    for (position, number) in numbers.iter().enumerate() {
        if numbers[..position].contains(number) {
            return Err(Reason::PortConflict.about("ports", &format!(" names port {number} twice")));
        }
    }
    Ok(())
}

fn refuse_collisions(pod: &Value, exposed: &[Exposed], explicit: bool) -> Result<(), Deny> {
    let taken: Vec<u16> = pod::all_slots(pod)
        .filter(|slot| slot.name() != NAME)
        .flat_map(|slot| pod::tcp_ports(slot.value))
        .map(|port| port.number)
        .collect();
    if taken.contains(&ADMIN_PORT)
        || exposed
            .iter()
            .any(|e| e.app == ADMIN_PORT || e.listen == ADMIN_PORT)
    {
        return Err(conflict(format!(
            "port {ADMIN_PORT} is the sidecar's own (probes, metrics); move the app to another"
        )));
    }
    if explicit {
        let clash = exposed.iter().enumerate().find(|(position, e)| {
            taken.contains(&e.listen)
                || exposed.iter().any(|other| other.app == e.listen)
                || exposed[..*position]
                    .iter()
                    .any(|other| other.listen == e.listen)
        });
        if let Some((_, e)) = clash {
            return Err(conflict(format!(
                "listen port {} is already used in this pod; choose another in annotation hybridge.dev/listen-port",
                e.listen
            )));
        }
    }
    Ok(())
}
