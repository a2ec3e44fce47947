//! Moving an app to loopback: which argument or variable of its container is changed.
//! What cannot be moved is refused or said, never guessed at silently.

mod edit;
mod known;
mod listeners;
mod refusals;

use serde_json::Value;

use self::edit::Edit;
use self::known::Mover;
use self::refusals::{refuse_other_ports, refuse_tls_app};
use super::annotations::{Bind, Mode, Request};
use super::argv::{self, Start, find_flag, flag_value, is_listen_address};
use super::catalog;
use super::deny::{Deny, Reason};
use super::editor::Editor;
use super::names::LOOPBACK;
use super::pod::{self, Place};
use super::ports::Exposed;
use super::trace::Trace;

/// Where an app listens again when the sidecar is removed.
const EVERYWHERE: &str = "0.0.0.0";
/// Flags that mean "listen address" in most servers; tried for containers nobody knows.
const COMMON_FLAGS: &[&str] = &["--host", "--hostname", "--bind-address", "--listen-address"];

/// Moves the owners of the exposed ports; returns every port that only loopback reaches from now on.
pub(crate) fn to_loopback(
    editor: &mut Editor,
    exposed: &[Exposed],
    request: &Request,
    trace: &mut Trace,
) -> Result<Vec<u16>, Deny> {
    if request.mode == Mode::Explicit {
        trace.step(
            "bind and probes: left alone",
            "mode explicit does not move the app; a NetworkPolicy must close its own port",
        );
        return Ok(Vec::new());
    }
    let mut loopback_only: Vec<u16> = exposed.iter().map(|e| e.app).collect();
    for (place, ports) in owners(exposed) {
        loopback_only.extend(move_owner(editor, place, &ports, request, trace)?);
    }
    Ok(loopback_only)
}

/// The way back: the owners listen on every address again.
pub(crate) fn to_every_address(
    editor: &mut Editor,
    exposed: &[Exposed],
    request: &Request,
    trace: &mut Trace,
) -> Result<(), Deny> {
    for (place, ports) in owners(exposed) {
        let container = pod::at(editor.pod(), place).clone();
        let name = pod::name(&container);
        if let Some((variable, _)) = &request.bind_env {
            trace.warn(format!("container {name}: {variable} was set by annotation hybridge.dev/bind-env; set it to where the app is to listen without a sidecar"));
            continue;
        }
        if request.bind == Bind::None {
            trace.warn(format!("container {name}: annotation hybridge.dev/bind is none, so the app listens on loopback by itself; change that, or nobody reaches it"));
            continue;
        }
        let mut edit = Edit { editor, place };
        match catalog::recognise(&container) {
            Some(server) => {
                let mover = Mover {
                    server,
                    container: &container,
                    ports: &ports,
                    address: EVERYWHERE,
                };
                mover.run(&mut edit, &mut Trace::default())?;
                if argv::start(&container) == Start::Script {
                    trace.warn(format!("container {name}: it starts through a shell or a script, which is not rewritten; take a loopback address out of it, or nobody reaches it"));
                }
            }
            None => {
                for flag in COMMON_FLAGS {
                    if flag_value(&container, flag).is_some_and(argv::is_loopback) {
                        edit.set_flag(flag, EVERYWHERE, trace)?;
                    }
                }
            }
        }
        trace.step(
            format!("listen address of container {name}: {EVERYWHERE}"),
            "without a sidecar its port is the one that clients reach",
        );
    }
    Ok(())
}

/// The containers that own exposed ports, each with its own.
fn owners(exposed: &[Exposed]) -> Vec<(Place, Vec<u16>)> {
    let mut owners: Vec<(Place, Vec<u16>)> = Vec::new();
    for e in exposed {
        match owners.iter_mut().find(|(place, _)| *place == e.owner) {
            Some((_, ports)) => ports.push(e.app),
            None => owners.push((e.owner, vec![e.app])),
        }
    }
    owners
}

/// Moves one container; returns ports beyond `ports` that are loopback_only with them.
fn move_owner(
    editor: &mut Editor,
    place: Place,
    ports: &[u16],
    request: &Request,
    trace: &mut Trace,
) -> Result<Vec<u16>, Deny> {
    let container = pod::at(editor.pod(), place).clone();
    let name = pod::name(&container).to_owned();
    refuse_tls_app(&container)?;
    let mut edit = Edit { editor, place };
    if let Some((variable, value)) = &request.bind_env {
        trace.step(
            format!("bind: {variable}={value} in container {name}"),
            "asked for by annotation hybridge.dev/bind-env",
        );
        edit.set_env(variable, value)?;
        return Ok(Vec::new());
    }
    if request.bind == Bind::None {
        trace.step(
            format!("bind: container {name} left alone"),
            "annotation hybridge.dev/bind is none; the app must listen on 127.0.0.1",
        );
        return Ok(Vec::new());
    }
    let Some(server) = catalog::recognise(&container) else {
        move_unknown(&mut edit, &container, trace)?;
        return Ok(Vec::new());
    };
    refuse_other_ports(server, &container, ports)?;
    let mover = Mover {
        server,
        container: &container,
        ports,
        address: LOOPBACK,
    };
    mover.run(&mut edit, trace)
}

/// On a port that the sidecar holds, a server that is not moved never starts: refused, with the ways out.
fn move_unknown(edit: &mut Edit<'_>, container: &Value, trace: &mut Trace) -> Result<(), Deny> {
    let name = pod::name(container);
    let flag = COMMON_FLAGS
        .iter()
        .copied()
        .find(|flag| find_flag(container, flag).is_some())
        .filter(|flag| flag_value(container, flag).is_none_or(is_listen_address))
        .filter(|_| argv::start(container) != Start::Script);
    if let Some(flag) = flag {
        trace.step(
            format!("bind: {flag} {LOOPBACK} in container {name}"),
            "the server is unknown, its flag is a usual one",
        );
        return edit.set_flag(flag, LOOPBACK, trace);
    }
    Err(Reason::UnknownServer.deny(format!(
            "container {name:?} runs a server that is not known, so nothing moves it to 127.0.0.1, and on 0.0.0.0 it would not start, because the sidecar holds its port. Name the variable of its listen address in annotation hybridge.dev/bind-env, set hybridge.dev/bind: none if it listens on 127.0.0.1 already, use hybridge.dev/mode: explicit, or label the pod hybridge.dev/inject: disabled if it serves no clients"
        )))
}
