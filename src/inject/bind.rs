//! Moving an app to loopback: which argument or variable of its container is changed.
//! What cannot be moved is refused or said, never guessed at silently.

mod edit;
mod listeners;

use serde_json::Value;

use self::edit::Edit;
use super::annotations::{Bind, Mode, Request};
use super::argv::{self, Start, find_flag, flag_value, is_listen_address};
use super::catalog::{self, Binding, Server};
use super::deny::{Deny, Reason};
use super::notes::Notes;
use super::patch::Editor;
use super::pod::{self, Place};
use super::ports::Exposed;

const LOOPBACK: &str = "127.0.0.1";
/// Where an app listens again when the sidecar is removed.
const EVERYWHERE: &str = "0.0.0.0";
/// Flags that mean "listen address" in most servers; tried for containers nobody knows.
const COMMON_FLAGS: &[&str] = &["--host", "--hostname", "--bind-address", "--listen-address"];

/// Moves the owners of the exposed ports; returns every port that only loopback reaches from now on.
pub(crate) fn to_loopback(
    editor: &mut Editor,
    exposed: &[Exposed],
    request: &Request,
    notes: &mut Notes,
) -> Result<Vec<u16>, Deny> {
    if request.mode == Mode::Explicit {
        notes.step(
            "bind and probes: left alone",
            "mode explicit does not move the app; a NetworkPolicy must close its own port",
        );
        return Ok(Vec::new());
    }
    let mut closed: Vec<u16> = exposed.iter().map(|e| e.app).collect();
    for (place, ports) in owners(exposed) {
        closed.extend(move_owner(editor, place, &ports, request, notes)?);
    }
    Ok(closed)
}

/// The way back: the owners listen on every address again.
pub(crate) fn to_every_address(
    editor: &mut Editor,
    exposed: &[Exposed],
    request: &Request,
    notes: &mut Notes,
) -> Result<(), Deny> {
    for (place, ports) in owners(exposed) {
        let container = pod::at(editor.pod(), place).clone();
        let name = pod::name(&container);
        if let Some((variable, _)) = &request.bind_env {
            notes.warn(format!("container {name}: {variable} was set by annotation hybridge.dev/bind-env; set it to where the app is to listen without a sidecar"));
            continue;
        }
        if request.bind == Bind::None {
            notes.warn(format!("container {name}: annotation hybridge.dev/bind is none, so the app listens on loopback by itself; change that, or nobody reaches it"));
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
                mover.run(&mut edit, &mut Notes::default())?;
            }
            None => {
                for flag in COMMON_FLAGS {
                    if flag_value(&container, flag).is_some_and(argv::is_loopback) {
                        edit.set_flag(flag, EVERYWHERE, notes)?;
                    }
                }
            }
        }
        notes.step(
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

/// Moves one container; returns ports beyond `ports` that are closed with them.
fn move_owner(
    editor: &mut Editor,
    place: Place,
    ports: &[u16],
    request: &Request,
    notes: &mut Notes,
) -> Result<Vec<u16>, Deny> {
    let container = pod::at(editor.pod(), place).clone();
    let name = pod::name(&container).to_owned();
    refuse_tls_app(&container)?;
    let mut edit = Edit { editor, place };
    if let Some((variable, value)) = &request.bind_env {
        notes.step(
            format!("bind: {variable}={value} in container {name}"),
            "asked for by annotation hybridge.dev/bind-env",
        );
        edit.set_env(variable, value)?;
        return Ok(Vec::new());
    }
    if request.bind == Bind::None {
        notes.step(
            format!("bind: container {name} left alone"),
            "annotation hybridge.dev/bind is none; the app must listen on 127.0.0.1",
        );
        return Ok(Vec::new());
    }
    let Some(server) = catalog::recognise(&container) else {
        move_unknown(&mut edit, &container, notes)?;
        return Ok(Vec::new());
    };
    refuse_other_ports(server, &container, ports)?;
    let mover = Mover {
        server,
        container: &container,
        ports,
        address: LOOPBACK,
    };
    mover.run(&mut edit, notes)
}

/// A known server and what is to be moved of it.
struct Mover<'a> {
    server: &'static Server,
    container: &'a Value,
    ports: &'a [u16],
    /// Where it is to listen.
    address: &'static str,
}

impl Mover<'_> {
    fn run(&self, edit: &mut Edit<'_>, notes: &mut Notes) -> Result<Vec<u16>, Deny> {
        match self.server.binding {
            Binding::Fixed => Err(self.not_movable(&format!(
                "runs {}, which always listens on 0.0.0.0 and cannot be moved to loopback; use annotation hybridge.dev/mode: explicit",
                self.server.title
            ))),
            Binding::ArgumentsEnv(variable) => {
                self.step(notes, &format!("--host {} in {variable}", self.address));
                edit.set_env_argument(variable, self.address)?;
                Ok(Vec::new())
            }
            Binding::EnvHostPort(variable) => {
                self.refuse_target(variable, pod::env(self.container, variable).map(host_of))?;
                let port = self.ports.first().copied().unwrap_or_default();
                self.set_env(edit, notes, variable, &format!("{}:{port}", self.address))
            }
            Binding::Env(variable) => {
                self.refuse_target(variable, pod::env(self.container, variable))?;
                self.set_env(edit, notes, variable, self.address)?;
                Ok(listeners::moved_with(self.server, self.container, self.ports, notes))
            }
            Binding::FlagOrEnv { flag, env } if find_flag(self.container, flag).is_none() => {
                self.refuse_target(env, pod::env(self.container, env))?;
                self.set_env(edit, notes, env, self.address)
            }
            Binding::TorchServe => {
                listeners::torchserve(edit, self.container, self.ports, self.address, notes)?;
                Ok(Vec::new())
            }
            Binding::Flag(flag) | Binding::FlagOrEnv { flag, .. } => {
                self.set_flags(edit, notes, &[(flag, self.address)])
            }
            Binding::Triton => {
                let flags = listeners::triton_flags(self.container, self.ports, self.address);
                self.set_flags(edit, notes, &flags)?;
                if argv::start(self.container) == Start::Script {
                    return Ok(Vec::new());
                }
                Ok(listeners::moved_with(self.server, self.container, self.ports, notes))
            }
        }
    }

    fn set_flags(
        &self,
        edit: &mut Edit<'_>,
        notes: &mut Notes,
        flags: &[(&str, &str)],
    ) -> Result<Vec<u16>, Deny> {
        if argv::start(self.container) == Start::Script {
            self.warn_script(notes);
            return Ok(Vec::new());
        }
        for (flag, value) in flags {
            self.refuse_target(flag, flag_value(self.container, flag))?;
            self.step(notes, &format!("{flag} {value}"));
            edit.set_flag(flag, value, notes)?;
        }
        Ok(Vec::new())
    }

    fn set_env(
        &self,
        edit: &mut Edit<'_>,
        notes: &mut Notes,
        variable: &str,
        value: &str,
    ) -> Result<Vec<u16>, Deny> {
        self.step(notes, &format!("{variable}={value}"));
        edit.set_env(variable, value)?;
        Ok(Vec::new())
    }

    fn step(&self, notes: &mut Notes, what: &str) {
        notes.step(
            format!("bind: {what} in container {}", pod::name(self.container)),
            format!(
                "{} is recognised and must listen on loopback only",
                self.server.title
            ),
        );
    }

    /// A host name where an address to listen on should be is what a client connects to.
    fn refuse_target(&self, setting: &str, value: Option<&str>) -> Result<(), Deny> {
        match value.filter(|value| !is_listen_address(value)) {
            None => Ok(()),
            Some(value) => Err(self.not_movable(&format!(
                "sets {setting} to {value:?}, which names a host and is no address to listen on; for {} give an address such as 0.0.0.0 there, and a client needs no sidecar: label its pod hybridge.dev/inject: disabled",
                self.server.title
            ))),
        }
    }

    fn not_movable(&self, what: &str) -> Deny {
        let name = pod::name(self.container);
        Deny::new(Reason::NotMovable, format!("container {name:?} {what}"))
    }

    fn warn_script(&self, notes: &mut Notes) {
        let name = pod::name(self.container);
        notes.step(
            format!("bind: container {name} left alone"),
            "it starts through a shell or a script, which is not rewritten",
        );
        notes.warn(format!(
            "container {name}: {} starts through a shell or a script and was not moved; put its loopback flag (such as --host 127.0.0.1) in there. On 0.0.0.0 it fails to start.",
            self.server.title
        ));
    }
}

/// On a port that the sidecar holds, a server that is not moved never starts: refused, with the ways out.
fn move_unknown(edit: &mut Edit<'_>, container: &Value, notes: &mut Notes) -> Result<(), Deny> {
    let name = pod::name(container);
    let flag = COMMON_FLAGS
        .iter()
        .copied()
        .find(|flag| find_flag(container, flag).is_some())
        .filter(|flag| flag_value(container, flag).is_none_or(is_listen_address))
        .filter(|_| argv::start(container) != Start::Script);
    if let Some(flag) = flag {
        notes.step(
            format!("bind: {flag} {LOOPBACK} in container {name}"),
            "the server is unknown, its flag is a usual one",
        );
        return edit.set_flag(flag, LOOPBACK, notes);
    }
    Err(Deny::new(
        Reason::UnknownServer,
        format!(
            "container {name:?} runs a server that is not known, so nothing moves it to 127.0.0.1, and on 0.0.0.0 it would not start, because the sidecar holds its port. Name the variable of its listen address in annotation hybridge.dev/bind-env, set hybridge.dev/bind: none if it listens on 127.0.0.1 already, use hybridge.dev/mode: explicit, or label the pod hybridge.dev/inject: disabled if it serves no clients"
        ),
    ))
}

/// A sidecar in front of a port on which nobody listens answers every request with an error.
fn refuse_other_ports(server: &Server, container: &Value, ports: &[u16]) -> Result<(), Deny> {
    let name = pod::name(container);
    if let Some(path) = flag_value(container, "--uds") {
        return Err(Deny::new(
            Reason::NotMovable,
            format!(
                "container {name:?} listens on the Unix socket {path} (--uds) and on no port; remove --uds"
            ),
        ));
    }
    let own = listeners::by_flags(server, container);
    match ports.iter().find(|port| !own.contains(port)) {
        Some(port) if !own.is_empty() => {
            let list: Vec<String> = own.iter().map(u16::to_string).collect();
            Err(Deny::new(
                Reason::PortConflict,
                format!(
                    "container {name:?} is to be reached on port {port}, but its command line makes {} listen on {}; declare that as containerPort, and name it where hybridge.dev/ports is given",
                    server.title,
                    list.join(", ")
                ),
            ))
        }
        _ => Ok(()),
    }
}

/// The host of `host:port`, with or without a scheme.
fn host_of(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.starts_with('[') {
        return authority.split_inclusive(']').next().unwrap_or(authority);
    }
    match authority.rsplit_once(':') {
        Some((host, _)) if !host.contains(':') => host,
        _ => authority,
    }
}

/// An app that serves TLS itself cannot be reached in plaintext by the sidecar.
fn refuse_tls_app(container: &Value) -> Result<(), Deny> {
    const FLAGS: &[&str] = &[
        "--ssl-certfile",
        "--ssl-keyfile",
        "--ssl-cert-file",
        "--ssl-key-file",
        "--grpc-use-ssl",
    ];
    let argv = pod::argv(container);
    let flag = argv
        .iter()
        .map(|word| word.split('=').next().unwrap_or_default())
        .find(|word| FLAGS.contains(word));
    match flag {
        Some(flag) => Err(Deny::new(
            Reason::AppServesTls,
            format!(
                "container {:?} serves TLS itself ({flag}); remove that, hybridge speaks plaintext to the app on loopback",
                pod::name(container)
            ),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_found_in_every_spelling() {
        for (text, host) in [
            ("0.0.0.0:11434", "0.0.0.0"),
            ("http://ollama.ai.svc:11434/x", "ollama.ai.svc"),
            (":11434", ""),
            ("0.0.0.0", "0.0.0.0"),
            ("[::]:11434", "[::]"),
            ("::", "::"),
        ] {
            assert_eq!(host_of(text), host, "{text}");
        }
    }
}
