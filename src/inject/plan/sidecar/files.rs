//! The volume of the sidecar: the pair of the key, and what certifies clients and servers.

use serde_json::{Value, json};

use super::Sidecar;
use crate::inject::plan::deny::Deny;
use crate::inject::plan::editor::{Editor, path};
use crate::inject::plan::names::TLS_VOLUME;
use crate::inject::plan::pod;
use crate::inject::plan::trace::Trace;

/// Files of the volume beside the pair: the CAs of clients, what they revoked, shared keys of tickets.
pub(super) const CLIENT_CA: &str = "client-ca.crt";
pub(super) const CLIENT_CRL: &str = "client.crl";
pub(super) const TICKET_KEYS: &str = "ticket.keys";
/// Mode 0444: readable by the sidecar without an fsGroup, which would chown every volume of the pod.
const FILE_MODE: u32 = 0o444;

impl Sidecar<'_> {
    pub(super) fn put_volume(&self, editor: &mut Editor, trace: &mut Trace) -> Result<(), Deny> {
        let from = if self.has_listeners() {
            format!("Secret {}", self.request.tls_secret)
        } else {
            "what hybridge.dev/egress-… names".to_owned()
        };
        trace.step(
            format!("volume {TLS_VOLUME} from {from}"),
            "mounted only into the sidecar; the pod waits until its sources exist",
        );
        if self.has_listeners() {
            self.explain_listeners(trace);
        }
        let volumes = pod::array(pod::spec(editor.pod()), "volumes");
        match volumes.iter().position(|v| pod::name(v) == TLS_VOLUME) {
            Some(index) => editor.set(
                &path(&["spec", "volumes", &index.to_string()]),
                self.volume(),
            ),
            None => editor.push(&path(&["spec", "volumes"]), self.volume()),
        }
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
        trace.step(
            format!("clients: certificate {}, by {}, let in by {}", clients.mode, clients.ca.title(), rules.join("; ")),
            "asked for by annotation client-auth; probes and metrics on the admin port need no certificate",
        );
    }

    fn volume(&self) -> Value {
        let mut sources = Vec::new();
        if self.has_listeners() {
            sources.extend(self.listener_files());
        }
        sources.extend(self.egress_files());
        json!({"name": TLS_VOLUME, "projected": {"sources": sources, "defaultMode": FILE_MODE}})
    }

    fn listener_files(&self) -> Vec<Value> {
        let mut sources = vec![json!({"secret": {
            "name": self.request.tls_secret,
            "items": [{"key": "tls.crt", "path": "tls.crt"}, {"key": "tls.key", "path": "tls.key"}],
        }})];
        if let Some(clients) = &self.request.clients {
            sources.push(clients.ca.projection(CLIENT_CA));
            sources.extend(clients.crl.iter().map(|crl| crl.projection(CLIENT_CRL)));
        }
        let keys = self.request.ticket_keys.iter();
        sources.extend(keys.map(|keys| keys.projection(TICKET_KEYS)));
        sources
    }
}
