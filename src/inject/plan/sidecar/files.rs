//! The volumes of the sidecar: the pair of the key, and what certifies clients and servers, or the socket
//! of the agent that gives them.

use serde_json::{Value, json};

use super::{Sidecar, TLS_DIR};
use crate::inject::plan::annotations::Agent;
use crate::inject::plan::deny::Deny;
use crate::inject::plan::editor::Editor;
use crate::inject::plan::names::{AGENT_VOLUME, TLS_VOLUME};
use crate::inject::plan::trace::Trace;

/// Where the socket of the agent is. No mount of others may be below `/etc/hybridge`.
pub(super) const AGENT_DIR: &str = "/etc/hybridge/spiffe";
/// Files of the volume beside the pair: the CAs of clients, what they revoked, shared keys of tickets.
pub(super) const CLIENT_CA: &str = "client-ca.crt";
pub(super) const CLIENT_CRL: &str = "client.crl";
pub(super) const TICKET_KEYS: &str = "ticket.keys";
/// Mode 0444: readable by the sidecar without an fsGroup, which would chown every volume of the pod.
const FILE_MODE: u32 = 0o444;

impl Sidecar<'_> {
    /// What gives certificate, key and CAs instead of files, if something does and there is a use for it.
    pub(super) fn agent(&self) -> Option<&Agent> {
        let agent = self.request.agent.as_ref();
        agent.filter(|_| self.has_listeners())
    }

    pub(super) fn put_volumes(&self, editor: &mut Editor, trace: &mut Trace) -> Result<(), Deny> {
        match self.agent() {
            Some(agent) => {
                trace.step(
                    format!("volume {AGENT_VOLUME} by CSI driver {}, with the socket of the SPIFFE agent", agent.driver),
                    "certificate, key and CAs of clients come from it; mounted only into the sidecar; the pod waits until the driver is there",
                );
                editor.put_named("volumes", agent.volume(AGENT_VOLUME))?;
            }
            None => editor.take_named("volumes", AGENT_VOLUME)?,
        }
        let sources = self.sources();
        if sources.is_empty() {
            editor.take_named("volumes", TLS_VOLUME)?;
        } else {
            trace.step(
                format!("volume {TLS_VOLUME} from {}", self.origin()),
                "mounted only into the sidecar; the pod waits until its sources exist",
            );
            let volume = json!({"name": TLS_VOLUME, "projected": {"sources": sources, "defaultMode": FILE_MODE}});
            editor.put_named("volumes", volume)?;
        }
        if self.has_listeners() {
            self.explain_listeners(trace);
        }
        self.explain_traces(trace);
        Ok(())
    }

    /// Where the files of the sidecar come from, for the explanation.
    fn origin(&self) -> String {
        if !self.has_listeners() {
            "what hybridge.dev/egress-… names".to_owned()
        } else if self.agent().is_some() {
            "what annotations name".to_owned()
        } else {
            format!("Secret {}", self.request.tls_secret)
        }
    }

    pub(super) fn mounts(&self) -> Value {
        let mut mounts = Vec::new();
        if !self.sources().is_empty() {
            mounts.push(json!({"name": TLS_VOLUME, "mountPath": TLS_DIR, "readOnly": true}));
        }
        if self.agent().is_some() {
            mounts.push(json!({"name": AGENT_VOLUME, "mountPath": AGENT_DIR, "readOnly": true}));
        }
        Value::Array(mounts)
    }

    fn explain_listeners(&self, trace: &mut Trace) {
        self.explain_clients(trace);
        if let Some(keys) = &self.request.ticket_keys {
            trace.step(
                format!("ticket keys: {}", keys.title()),
                "asked for by annotation ticket-keys; a client resumes at every replica that has them",
            );
        }
        for (flag, value) in &self.request.neighbours {
            trace.step(format!("{flag} {value}"), "asked for by annotation");
            if *flag == "upstream-proxy-protocol" && !self.table.probes().is_empty() {
                trace.warn("upstream-proxy-protocol: probes reach the app without a PROXY protocol header; let it take them on a port of their own");
            }
        }
    }

    fn explain_clients(&self, trace: &mut Trace) {
        let Some(clients) = &self.request.clients else {
            return;
        };
        let rules = clients
            .rules
            .iter()
            .map(|(name, value)| format!("{name} {value}"));
        let rules: Vec<String> = rules.collect();
        let by = match &clients.ca {
            Some(ca) => ca.title(),
            None => "the agent's bundles".to_owned(),
        };
        trace.step(
            format!("clients: certificate {}, by {by}, let in by {}", clients.mode, rules.join("; ")),
            "asked for by annotation client-auth; probes and metrics on the admin port need no certificate",
        );
    }

    /// Sources of the projected volume.
    fn sources(&self) -> Vec<Value> {
        let mut sources = Vec::new();
        if self.has_listeners() {
            sources.extend(self.listener_files());
        }
        sources.extend(self.egress_files());
        sources.extend(self.traces_files());
        sources
    }

    fn listener_files(&self) -> Vec<Value> {
        let mut sources = Vec::new();
        if self.agent().is_none() {
            sources.push(json!({"secret": {
                "name": self.request.tls_secret,
                "items": [{"key": "tls.crt", "path": "tls.crt"}, {"key": "tls.key", "path": "tls.key"}],
            }}));
        }
        if let Some(clients) = &self.request.clients {
            sources.extend(clients.ca.iter().map(|ca| ca.projection(CLIENT_CA)));
            sources.extend(clients.crl.iter().map(|crl| crl.projection(CLIENT_CRL)));
        }
        let keys = self.request.ticket_keys.iter();
        sources.extend(keys.map(|keys| keys.projection(TICKET_KEYS)));
        sources
    }
}
