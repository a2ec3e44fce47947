//! Rewriting the kubelet's calls to the app: probes and HTTP lifecycle hooks that call a port which is
//! now loopback only. The call is pointed at the sidecar, the original goes into the probe table.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Map, Value, json};

use super::deny::{Deny, Reason};
use super::editor::Editor;
use super::names::{ADMIN_PORT, NAME};
use super::pod::{self, Slot};
use super::trace::Trace;
use crate::probes::{Probe, ProbeHeader, ProbeKind, ProbeTable, UNLIMITED};

pub(crate) const PROBES: &[(&str, &str)] = &[
    ("readinessProbe", "readiness"),
    ("livenessProbe", "liveness"),
    ("startupProbe", "startup"),
];
pub(crate) const HOOKS: &[&str] = &["postStart", "preStop"];
const HANDLER_KEYS: &[&str] = &["httpGet", "tcpSocket", "grpc"];

/// Points every probe of a port that is now `loopback_only` to the kubelet at the sidecar; returns the originals.
/// Calls that an earlier run rewrote keep their entry from the `previous` table.
pub(crate) fn rewrite(
    editor: &mut Editor,
    loopback_only: &[u16],
    previous: &ProbeTable,
    trace: &mut Trace,
) -> Result<ProbeTable, Deny> {
    let mut table = ProbeTable::default();
    let pod = editor.pod().clone();
    let slots = pod::all_slots(&pod).filter(|slot| slot.name() != NAME);
    for slot in slots {
        let mut rewriter = Rewriter {
            editor,
            loopback_only,
            previous,
            trace,
            table: &mut table,
            slot,
        };
        for (field, kind) in PROBES {
            rewriter.probe(field, kind)?;
        }
        for hook in HOOKS {
            rewriter.hook(hook)?;
        }
    }
    Ok(table)
}

struct Rewriter<'a> {
    editor: &'a mut Editor,
    loopback_only: &'a [u16],
    previous: &'a ProbeTable,
    trace: &'a mut Trace,
    table: &'a mut ProbeTable,
    slot: Slot<'a>,
}

impl Rewriter<'_> {
    fn probe(&mut self, field: &str, kind: &str) -> Result<(), Deny> {
        let Some(probe) = self.slot.value.get(field).and_then(Value::as_object) else {
            return Ok(());
        };
        let limit = timeout(probe);
        self.rewrite(&[field], probe, kind, limit, "; timings are kept")?;
        Ok(())
    }

    fn hook(&mut self, hook: &str) -> Result<(), Deny> {
        let lifecycle = self.slot.value.get("lifecycle");
        let Some(handler) = lifecycle
            .and_then(|l| l.get(hook))
            .and_then(Value::as_object)
        else {
            return Ok(());
        };
        // The kubelet waits for a hook until the grace period ends, and at the start without an end.
        if self.rewrite(&["lifecycle", hook], handler, hook, UNLIMITED, "")? {
            self.trace.warn(format!(
                "container {}: its {hook} hook now goes through port {ADMIN_PORT}, where neighbours can call it as they could call the app before",
                self.slot.name()
            ));
        }
        Ok(())
    }

    /// Has the admin port make the call of a handler that the app's loopback port no longer takes; whether it does.
    fn rewrite(
        &mut self,
        at: &[&str],
        handler: &Map<String, Value>,
        kind: &str,
        timeout_seconds: u32,
        besides: &str,
    ) -> Result<bool, Deny> {
        let path = format!("/probe/{}/{kind}", self.slot.name());
        let field = at.join(".");
        let Some(original) = self.original(&field, handler, &path)? else {
            return Ok(false);
        };
        // Of a call that an earlier run rewrote too: it may have been edited since.
        let original = Probe {
            timeout_seconds,
            ..original
        };
        self.trace.step(
            format!(
                "{field} of container {}: httpGet {path} on port {ADMIN_PORT}",
                self.slot.name()
            ),
            format!(
                "the app's port {} is reachable on loopback only{besides}",
                original.port
            ),
        );
        self.table.push(original);
        let mut changed = without_handlers(handler);
        changed.insert("httpGet".into(), admin_get(&path));
        self.editor
            .set(&self.slot.path(at), Value::Object(changed))?;
        Ok(true)
    }

    /// The check to keep in the table, or `None` when the call needs no change.
    fn original(
        &mut self,
        field: &str,
        handler: &Map<String, Value>,
        path: &str,
    ) -> Result<Option<Probe>, Deny> {
        if rewritten_path(handler) == Some(path) {
            return self
                .previous
                .lookup(path)
                .cloned()
                .map(Some)
                .ok_or_else(|| self.lost(field, path));
        }
        let Some((key, action)) = HANDLER_KEYS
            .iter()
            .find_map(|key| Some((*key, handler.get(*key)?.as_object()?)))
        else {
            return Ok(None);
        };
        let port = self.port(field, action)?;
        if !self.loopback_only.contains(&port) {
            return Ok(None);
        }
        if action
            .get("host")
            .and_then(Value::as_str)
            .is_some_and(|host| !host.is_empty())
        {
            self.trace.warn(format!("{field} of container {} names a host and was left alone; it reaches TLS on port {port} now", self.slot.name()));
            return Ok(None);
        }
        self.refuse_https(field, action)?;
        let original = check(key, action, port, path);
        if !original.is_http_clean() {
            return Err(Reason::ProbeTable.deny(format!(
                    "{field} of container {:?} has a path or header that cannot be sent as it is; encode spaces and control characters",
                    self.slot.name()
                )));
        }
        Ok(Some(original))
    }

    fn port(&self, field: &str, action: &Map<String, Value>) -> Result<u16, Deny> {
        let value = action.get("port").unwrap_or(&Value::Null);
        let named = |name: &str| {
            pod::tcp_ports(self.slot.value)
                .iter()
                .find(|p| p.name == Some(name))
                .map(|p| p.number)
                .or_else(|| name.parse().ok())
        };
        let number = match value {
            Value::String(name) => named(name),
            other => pod::port_number(other),
        };
        number.ok_or_else(|| Reason::ProbePort.deny(format!(
            "{field} of container {:?} asks port {value}, which is neither a port number nor a port name of that container", self.slot.name()
        )))
    }

    fn refuse_https(&self, field: &str, action: &Map<String, Value>) -> Result<(), Deny> {
        if action.get("scheme").and_then(Value::as_str) != Some("HTTPS") {
            return Ok(());
        }
        Err(Reason::AppServesTls.deny(format!(
                "{field} of container {:?} uses scheme HTTPS: the app serves TLS itself; let it serve plaintext and the probe use HTTP, hybridge adds the TLS",
                self.slot.name()
            )))
    }

    fn lost(&self, field: &str, path: &str) -> Deny {
        Reason::ProbeTable.deny(format!(
                "{field} of container {:?} already asks {path}, but the sidecar's probe table does not say which probe it is; restore the original probe",
                self.slot.name()
            ))
    }
}

pub(crate) fn without_handlers(handler: &Map<String, Value>) -> Map<String, Value> {
    let kept = handler
        .iter()
        .filter(|(key, _)| !HANDLER_KEYS.contains(&key.as_str()));
    kept.map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// A GET on the admin port, with every default spelled out as the API server would.
pub(crate) fn admin_get(path: &str) -> Value {
    json!({"path": path, "port": ADMIN_PORT, "scheme": "HTTP"})
}

/// The path of a call that already goes to the admin port.
pub(crate) fn rewritten_path(handler: &Map<String, Value>) -> Option<&str> {
    let action = handler.get("httpGet")?;
    let ours = action.get("port").and_then(Value::as_u64) == Some(u64::from(ADMIN_PORT));
    ours.then(|| pod::string(action, "path")).flatten()
}

fn timeout(handler: &Map<String, Value>) -> u32 {
    handler
        .get("timeoutSeconds")
        .and_then(Value::as_u64)
        .and_then(|n| u32::try_from(n).ok())
        .filter(|n| *n > 0)
        .unwrap_or(1)
}

fn check(key: &str, action: &Map<String, Value>, port: u16, path: &str) -> Probe {
    let kind = match key {
        "httpGet" => ProbeKind::Http,
        "grpc" => ProbeKind::Grpc,
        _ => ProbeKind::Tcp,
    };
    let text = |name: &str| action.get(name).and_then(Value::as_str).map(str::to_owned);
    Probe {
        path: path.to_owned(),
        kind,
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port,
        target: (kind == ProbeKind::Http).then(|| target(text("path"))),
        headers: headers(action),
        service: if kind == ProbeKind::Grpc {
            // The API server fills in an empty name; both fronts must give the same pod.
            text("service").filter(|name| !name.is_empty())
        } else {
            None
        },
        timeout_seconds: UNLIMITED,
    }
}

fn target(path: Option<String>) -> String {
    match path {
        Some(path) if path.starts_with('/') => path,
        Some(path) => format!("/{path}"),
        None => "/".into(),
    }
}

fn headers(action: &Map<String, Value>) -> Vec<ProbeHeader> {
    let list = action.get("httpHeaders").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|h| {
            Some(ProbeHeader {
                name: pod::string(h, "name")?.to_owned(),
                value: pod::string(h, "value").unwrap_or_default().to_owned(),
            })
        })
        .collect()
}
