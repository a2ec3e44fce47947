//! Moving an app to loopback: which argument or variable of its container is changed.
//! What cannot be moved is refused or said, never guessed at silently.

use serde_json::{Value, json};

use super::annotations::{Bind, Mode, Request};
use super::argv::{Form, find_flag, is_loopback, starts_through_shell};
use super::catalog::{self, Binding, Server};
use super::deny::{Deny, Reason};
use super::notes::Notes;
use super::patch::Editor;
use super::pod::{self, List, Slot};
use super::ports::Exposed;

const LOOPBACK: &str = "127.0.0.1";
/// Flags that mean "listen address" in most servers; tried for containers nobody knows.
const COMMON_FLAGS: &[&str] = &["--host", "--hostname", "--bind-address", "--listen-address"];
/// Triton's listeners for clients, with its default ports.
const TRITON_LISTENERS: &[(u16, &str)] = &[(8000, "HTTP"), (8001, "gRPC")];

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
    let mut owners: Vec<usize> = exposed.iter().map(|e| e.owner).collect();
    owners.sort_unstable();
    owners.dedup();
    for index in owners {
        let ports: Vec<u16> = exposed
            .iter()
            .filter(|e| e.owner == index)
            .map(|e| e.app)
            .collect();
        let owner = Owner { index, ports };
        owner.move_to_loopback(editor, request, notes)?;
        closed.extend(owner.also_closed(editor, request));
    }
    Ok(closed)
}

/// The container that owns some of the exposed ports.
struct Owner {
    index: usize,
    ports: Vec<u16>,
}

impl Owner {
    fn slot<'a>(&self, editor: &'a Editor) -> Slot<'a> {
        Slot {
            list: List::App,
            index: self.index,
            value: &pod::array(pod::spec(editor.pod()), List::App.key())[self.index],
        }
    }

    fn move_to_loopback(
        &self,
        editor: &mut Editor,
        request: &Request,
        notes: &mut Notes,
    ) -> Result<(), Deny> {
        let container = self.slot(editor).value.clone();
        let name = pod::name(&container);
        refuse_tls_app(&container)?;
        if let Some((variable, value)) = &request.bind_env {
            notes.step(
                format!("bind: {variable}={value} in container {name}"),
                "asked for by annotation hybridge.dev/bind-env",
            );
            return self.set_env(editor, variable, value);
        }
        if request.bind == Bind::None {
            notes.step(
                format!("bind: container {name} left alone"),
                "annotation hybridge.dev/bind is none; the app must listen on 127.0.0.1",
            );
            return Ok(());
        }
        match catalog::recognise(&container) {
            Some(server) => self.move_known(editor, server, notes),
            None => self.move_unknown(editor, notes),
        }
    }

    /// Triton's listeners move together, so one that was not asked for is closed too.
    fn also_closed(&self, editor: &Editor, request: &Request) -> Vec<u16> {
        let container = self.slot(editor).value;
        let triton =
            catalog::recognise(container).is_some_and(|server| server.binding == Binding::Triton);
        if triton
            && request.bind == Bind::Auto
            && request.bind_env.is_none()
            && !starts_through_shell(container)
        {
            TRITON_LISTENERS.iter().map(|(port, _)| *port).collect()
        } else {
            Vec::new()
        }
    }

    fn move_known(
        &self,
        editor: &mut Editor,
        server: &Server,
        notes: &mut Notes,
    ) -> Result<(), Deny> {
        let container = self.slot(editor).value.clone();
        let name = pod::name(&container);
        let why = format!(
            "{} is recognised and must listen on loopback only",
            server.title
        );
        match server.binding {
            Binding::Fixed => {
                return Err(Deny::new(
                    Reason::NotMovable,
                    format!(
                        "container {name:?} runs {}, which always listens on 0.0.0.0 and cannot be moved to loopback; use annotation hybridge.dev/mode: explicit",
                        server.title
                    ),
                ));
            }
            Binding::ArgumentsEnv(variable) => {
                notes.step(
                    format!("bind: --host {LOOPBACK} in {variable} of container {name}"),
                    why,
                );
                return self.append_env_argument(editor, variable);
            }
            Binding::EnvHostPort(variable) => {
                let value = format!("{LOOPBACK}:{}", self.ports[0]);
                notes.step(format!("bind: {variable}={value} in container {name}"), why);
                return self.set_env(editor, variable, &value);
            }
            Binding::TorchServe => return self.move_torchserve(editor, notes),
            Binding::FlagOrEnv { flag, env } if find_flag(&container, flag).is_none() => {
                notes.step(format!("bind: {env}={LOOPBACK} in container {name}"), why);
                return self.set_env(editor, env, LOOPBACK);
            }
            Binding::Flag(_) | Binding::FlagOrEnv { .. } | Binding::Triton => {}
        }
        if starts_through_shell(&container) {
            warn_shell(&container, server, notes);
            return Ok(());
        }
        for (flag, value) in self.flags(server, &container, notes) {
            notes.step(
                format!("bind: {flag} {value} in container {name}"),
                why.clone(),
            );
            self.set_flag(editor, flag, value, notes)?;
        }
        Ok(())
    }

    /// The flags to set for a server that is bound by flags.
    fn flags(
        &self,
        server: &Server,
        container: &Value,
        notes: &mut Notes,
    ) -> Vec<(&'static str, &'static str)> {
        match server.binding {
            Binding::Flag(flag) | Binding::FlagOrEnv { flag, .. } => vec![(flag, LOOPBACK)],
            Binding::Triton => self.triton_flags(container, notes),
            _ => Vec::new(),
        }
    }

    /// Triton's metrics follow the HTTP address unless told otherwise: kept scrapable when not put behind TLS.
    fn triton_flags(
        &self,
        container: &Value,
        notes: &mut Notes,
    ) -> Vec<(&'static str, &'static str)> {
        let mut flags = vec![("--http-address", LOOPBACK), ("--grpc-address", LOOPBACK)];
        for (port, what) in TRITON_LISTENERS {
            if !self.ports.contains(port) {
                notes.warn(format!("container {}: Triton's {what} listener is moved to loopback too; add port {port} to hybridge.dev/ports if clients use it", pod::name(container)));
            }
        }
        if self.ports.contains(&8002) {
            flags.push(("--metrics-address", LOOPBACK));
        } else if find_flag(container, "--metrics-address").is_none() {
            flags.push(("--metrics-address", "0.0.0.0"));
        }
        flags
    }

    fn move_unknown(&self, editor: &mut Editor, notes: &mut Notes) -> Result<(), Deny> {
        let container = self.slot(editor).value.clone();
        let name = pod::name(&container);
        let flag = COMMON_FLAGS
            .iter()
            .copied()
            .find(|flag| find_flag(&container, flag).is_some());
        if let Some(flag) = flag.filter(|_| !starts_through_shell(&container)) {
            notes.step(
                format!("bind: {flag} {LOOPBACK} in container {name}"),
                "the server is unknown, its flag is a usual one",
            );
            return self.set_flag(editor, flag, LOOPBACK, notes);
        }
        notes.step(
            format!("bind: container {name} left alone"),
            "the server is not known",
        );
        notes.warn(format!(
            "container {name}: unknown server, not moved; it must listen on 127.0.0.1 (hybridge.dev/bind-env sets a variable, bind: none silences this). On 0.0.0.0 it fails to start."
        ));
        Ok(())
    }

    /// TorchServe reads TS_* only when its configuration allows it, which the manifest does not show.
    fn move_torchserve(&self, editor: &mut Editor, notes: &mut Notes) -> Result<(), Deny> {
        let name = self.slot(editor).name().to_owned();
        let roles = [
            (8080, "TS_INFERENCE_ADDRESS"),
            (8081, "TS_MANAGEMENT_ADDRESS"),
            (8082, "TS_METRICS_ADDRESS"),
        ];
        for port in &self.ports {
            let role = roles
                .iter()
                .find(|(number, _)| number == port)
                .map(|(_, variable)| *variable);
            let variable = role.unwrap_or("TS_INFERENCE_ADDRESS");
            let value = format!("http://{LOOPBACK}:{port}");
            notes.step(
                format!("bind: {variable}={value} in container {name}"),
                "TorchServe is recognised and must listen on loopback only",
            );
            self.set_env(editor, variable, &value)?;
        }
        notes.warn(format!(
            "container {name}: TorchServe reads TS_* variables only with enable_envvars_config=true in its config.properties; without it, set the addresses there"
        ));
        Ok(())
    }

    fn set_env(&self, editor: &mut Editor, variable: &str, value: &str) -> Result<(), Deny> {
        let slot = self.slot(editor);
        let wanted = json!({"name": variable, "value": value});
        let position = pod::array(slot.value, "env")
            .iter()
            .rposition(|e| pod::string(e, "name") == Some(variable));
        let path = slot.path(&["env"]);
        match position {
            Some(at) => {
                let entry = slot.path(&["env", &at.to_string()]);
                editor.set(&entry, wanted)
            }
            None => editor.push(&path, wanted),
        }
    }

    fn append_env_argument(&self, editor: &mut Editor, variable: &str) -> Result<(), Deny> {
        let slot = self.slot(editor);
        let computed = pod::array(slot.value, "env")
            .iter()
            .any(|e| pod::string(e, "name") == Some(variable) && e.get("valueFrom").is_some());
        if computed {
            return Err(Deny::new(
                Reason::NotMovable,
                format!(
                    "container {:?} takes {variable} from elsewhere (valueFrom); add --host {LOOPBACK} there and set annotation hybridge.dev/bind: none",
                    slot.name()
                ),
            ));
        }
        let current = pod::env(slot.value, variable)
            .unwrap_or_default()
            .to_owned();
        let flag = format!("--host {LOOPBACK}");
        if current.contains(&flag) {
            return Ok(());
        }
        let value = format!("{current} {flag}");
        self.set_env(editor, variable, value.trim_start())
    }

    fn set_flag(
        &self,
        editor: &mut Editor,
        flag: &str,
        value: &str,
        notes: &mut Notes,
    ) -> Result<(), Deny> {
        let slot = self.slot(editor);
        let container = slot.value.clone();
        let Some(at) = find_flag(&container, flag) else {
            return self.append_flag(editor, flag, value, notes);
        };
        match at.form {
            Form::Joined => editor.set(
                &slot.path(&[at.list, &at.index.to_string()]),
                json!(format!("{flag}={value}")),
            ),
            Form::Separate { list, index } => {
                let path = slot.path(&[list, &index.to_string()]);
                let current = pod::array(&container, list)[index]
                    .as_str()
                    .unwrap_or_default();
                if value == LOOPBACK && is_loopback(current) {
                    Ok(())
                } else {
                    editor.set(&path, json!(value))
                }
            }
            Form::Last => {
                let path = slot.path(&[at.list]);
                editor.push(&path, json!(value))
            }
        }
    }

    fn append_flag(
        &self,
        editor: &mut Editor,
        flag: &str,
        value: &str,
        notes: &mut Notes,
    ) -> Result<(), Deny> {
        let slot = self.slot(editor);
        if pod::argv(slot.value).is_empty() {
            notes.warn(format!(
                "container {}: has neither command nor args, so the new args replace its image's CMD; add the server's arguments to args if the image relies on CMD",
                slot.name()
            ));
        }
        let path = slot.path(&["args"]);
        editor.push(&path, json!(flag))?;
        editor.push(&path, json!(value))
    }
}

fn warn_shell(container: &Value, server: &Server, notes: &mut Notes) {
    let name = pod::name(container);
    notes.step(
        format!("bind: container {name} left alone"),
        "it starts through a shell, whose script is not rewritten",
    );
    notes.warn(format!(
        "container {name}: {} starts through a shell and was not moved; put its loopback flag (such as --host 127.0.0.1) into the script. On 0.0.0.0 it fails to start.",
        server.title
    ));
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
