//! The sidecar container, its TLS volume and the status annotation. Built from scratch on every run,
//! so that a forged or damaged sidecar is repaired; what other webhooks may add (mounts, variables) stays.

mod egress;
mod env;
mod files;
mod traces;

use std::fmt::Write as _;

use aws_lc_rs::digest;
use serde_json::{Value, json};

use super::annotations::{self, InitOrder, Mode, Request};
use super::deny::Deny;
use super::editor::{Editor, path};
use super::names::{ADMIN_PORT, NAME, STATUS, TUNNEL_PORT};
use super::pod::{self, List, Slot};
use super::ports::Exposed;
use super::preserve::{keep_foreign, security_context};
use super::probe_rewrite::admin_get;
use super::resources;
use super::settings::Settings;
use super::trace::Trace;
use crate::probes::ProbeTable;

const TLS_DIR: &str = "/etc/hybridge/tls";

pub(crate) fn list(settings: &Settings) -> List {
    if settings.native() {
        List::Init
    } else {
        List::App
    }
}

pub(crate) fn existing<'a>(pod: &'a Value, settings: &Settings) -> Option<Slot<'a>> {
    pod::slots(pod, list(settings)).find(|slot| slot.name() == NAME)
}

/// Everything the sidecar is built from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sidecar<'a> {
    pub(crate) request: &'a Request,
    pub(crate) settings: &'a Settings,
    pub(crate) exposed: &'a [Exposed],
    pub(crate) table: &'a ProbeTable,
    pub(crate) drain_seconds: u64,
    pub(crate) drain_delay: u64,
}

impl Sidecar<'_> {
    /// Puts volume, container and status into the pod.
    pub(crate) fn put(&self, editor: &mut Editor, trace: &mut Trace) -> Result<(), Deny> {
        self.put_volumes(editor, trace)?;
        self.put_pull_secrets(editor, trace)?;
        let digest = self.put_container(editor, trace)?;
        let status = self.status(&digest);
        trace.step(
            "annotation hybridge.dev/status",
            "records what was injected; whatever was there is overwritten",
        );
        editor.set(&path(&["metadata", "annotations", STATUS]), json!(status))
    }

    fn put_pull_secrets(&self, editor: &mut Editor, trace: &mut Trace) -> Result<(), Deny> {
        for secret in &self.settings.image_pull_secrets {
            let known = pod::array(pod::spec(editor.pod()), "imagePullSecrets");
            if known.iter().any(|k| pod::name(k) == secret) {
                continue;
            }
            trace.step(
                format!("imagePullSecrets: {secret}"),
                "the kubelet pulls the sidecar image with it; a pod that names one no longer gets those of its ServiceAccount unless they are in it already",
            );
            editor.push(
                &path(&["spec", "imagePullSecrets"]),
                json!({"name": secret}),
            )?;
        }
        Ok(())
    }

    fn put_container(&self, editor: &mut Editor, trace: &mut Trace) -> Result<String, Deny> {
        let list = list(self.settings);
        let guaranteed = resources::is_guaranteed(editor.pod(), NAME);
        let fresh = self.container(guaranteed, None);
        let found = existing(editor.pod(), self.settings);
        if let Some(slot) = found {
            let kept = keep_foreign(self.container(guaranteed, Some(slot.value)), slot.value);
            trace.step(
                "sidecar container: rebuilt in place",
                "it was there already; mounts and variables of others stay",
            );
            let at = slot.path(&[]);
            editor.set(&at, kept)?;
        } else {
            trace.step(
                self.what(list),
                "a native sidecar starts before the app, stops after it, and lets Jobs finish",
            );
            let first = list == List::Init && self.request.init_order == InitOrder::First;
            let at = if first { 0 } else { usize::MAX };
            editor.insert(&path(&["spec", list.key()]), at, fresh.clone())?;
        }
        trace.step(
            format!("at most {} connections a port", self.max_connections()),
            format!(
                "that many fit into {} with certainty, more wait; hybridge.dev/memory raises it",
                self.request.memory
            ),
        );
        if guaranteed {
            trace.step(
                "sidecar limits equal its requests",
                "the pod is Guaranteed and stays so",
            );
        }
        Ok(short_digest(&fresh))
    }

    fn what(&self, list: List) -> String {
        let mut sides: Vec<String> = self
            .exposed
            .iter()
            .map(|e| format!("{} -> 127.0.0.1:{}", e.listen, e.app))
            .collect();
        if self.request.tunnel {
            sides.push(format!("{TUNNEL_PORT}, a tunnel to the pod's ports"));
        }
        let egress = self.request.egress.iter();
        sides.extend(
            egress
                .flat_map(|egress| &egress.entries)
                .map(|entry| format!("egress {}", entry.name)),
        );
        format!("sidecar in spec.{}: {}", list.key(), sides.join(", "))
    }

    fn container(&self, guaranteed: bool, existing: Option<&Value>) -> Value {
        let mut container = json!({
            "name": NAME,
            "image": self.settings.image,
            "imagePullPolicy": self.pull_policy(existing),
            "args": ["run"],
        });
        if self.settings.native() {
            container["restartPolicy"] = json!("Always");
        }
        container["ports"] = self.ports();
        container["env"] = self.env();
        container["resources"] = resources::sidecar(self.request, guaranteed, existing);
        container["securityContext"] = security_context(existing, self.settings.platform_user);
        container["startupProbe"] = probe("/startupz", 1, 60);
        container["readinessProbe"] = probe("/readyz", 2, 3);
        container["livenessProbe"] = probe("/livez", 10, 6);
        container["lifecycle"] =
            json!({"preStop": {"exec": {"command": ["/hybridge", "ctl", "drain"]}}});
        container["terminationMessagePath"] = json!("/dev/termination-log");
        container["terminationMessagePolicy"] = json!("FallbackToLogsOnError");
        container["volumeMounts"] = self.mounts();
        container
    }

    /// The AlwaysPullImages admission plugin rewrites this field and later insists on it.
    fn pull_policy(&self, existing: Option<&Value>) -> String {
        match existing.and_then(|e| pod::string(e, "imagePullPolicy")) {
            Some("Always") => "Always".into(),
            _ => self.settings.image_pull_policy.clone(),
        }
    }

    fn ports(&self) -> Value {
        let mut ports =
            vec![json!({"name": "pq-admin", "containerPort": ADMIN_PORT, "protocol": "TCP"})];
        if self.request.mode == Mode::Explicit {
            ports.extend(self.exposed.iter().enumerate().map(|(position, e)| {
                let name = if position == 0 {
                    "pq-tls".to_owned()
                } else {
                    format!("pq-tls-{}", position + 1)
                };
                json!({"name": name, "containerPort": e.listen, "protocol": "TCP"})
            }));
        }
        if self.request.tunnel {
            ports.push(
                json!({"name": "pq-tunnel", "containerPort": TUNNEL_PORT, "protocol": "TCP"}),
            );
        }
        Value::Array(ports)
    }

    /// Whether something comes in with TLS; without it only the app's own connections go out with TLS.
    fn has_listeners(&self) -> bool {
        self.request.tunnel || !self.exposed.is_empty()
    }

    fn max_connections(&self) -> String {
        let egresses = self.request.egress.as_ref();
        let egresses = egresses.map_or(0, |egress| egress.entries.len());
        let sides = self.exposed.len() + usize::from(self.request.tunnel) + egresses;
        let sides = u64::try_from(sides).unwrap_or(u64::MAX);
        resources::connections(self.request.memory_bytes(), self.span_memory(), sides).to_string()
    }

    fn status(&self, digest: &str) -> String {
        let ports: Vec<u16> = self.exposed.iter().map(|e| e.app).collect();
        json!({"v": env!("CARGO_PKG_VERSION"), "mode": annotations::spelling(&self.request.mode), "ports": ports, "sha": digest}).to_string()
    }
}

/// A probe with every field that the API server would fill in.
fn probe(path: &str, period: u32, failures: u32) -> Value {
    json!({"httpGet": admin_get(path), "timeoutSeconds": 1, "periodSeconds": period, "successThreshold": 1, "failureThreshold": failures})
}

/// First 12 hex digits of SHA-256, to tell two injections apart; not a signature.
fn short_digest(container: &Value) -> String {
    let hash = digest::digest(&digest::SHA256, container.to_string().as_bytes());
    hash.as_ref()
        .iter()
        .take(6)
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
