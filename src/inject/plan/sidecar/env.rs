//! The variables of the sidecar: everything that it is told.

use serde_json::{Value, json};

use super::files::{AGENT_DIR, CLIENT_CA, CLIENT_CRL, TICKET_KEYS};
use super::{Sidecar, TLS_DIR};
use crate::inject::plan::annotations;
use crate::inject::plan::names::{ADMIN_PORT, TUNNEL_PORT};

impl Sidecar<'_> {
    pub(super) fn env(&self) -> Value {
        let mut env = vec![
            downward("POD_IPS", "status.podIPs"),
            downward("POD_NAME", "metadata.name"),
            downward("POD_NAMESPACE", "metadata.namespace"),
        ];
        env.extend(self.listeners());
        env.push(literal("HYBRIDGE_ADMIN", admin_addresses()));
        if self.has_listeners() {
            env.push(literal("HYBRIDGE_MAX_CONNECTIONS", self.max_connections()));
        }
        env.extend([
            literal(
                "HYBRIDGE_LOG_LEVEL",
                annotations::spelling(&self.request.log_level),
            ),
            literal("HYBRIDGE_DRAIN_DELAY", format!("{}s", self.drain_delay)),
            literal("HYBRIDGE_DRAIN_TIMEOUT", format!("{}s", self.drain_seconds)),
        ]);
        if self.has_listeners() {
            env.extend(self.clients());
            if self.request.ticket_keys.is_some() {
                env.push(literal(
                    "HYBRIDGE_TICKET_KEYS",
                    format!("{TLS_DIR}/{TICKET_KEYS}"),
                ));
            }
        }
        if !self.exposed.is_empty() {
            let neighbours = self.request.neighbours.iter();
            env.extend(neighbours.map(|(flag, value)| literal(&variable(flag), value.as_str())));
        }
        env.extend(self.egress_env());
        env.extend(self.traces_env());
        if !self.table.probes().is_empty() {
            env.push(literal("HYBRIDGE_PROBES", self.table.to_json()));
        }
        Value::Array(env)
    }

    /// Where it listens with TLS. Without any, none of these may be there: each describes a listener.
    fn listeners(&self) -> Vec<Value> {
        if !self.has_listeners() {
            return Vec::new();
        }
        let mut env = if self.request.tunnel {
            vec![
                literal("HYBRIDGE_NAME", "tunnel"),
                literal("HYBRIDGE_LISTEN", format!("$POD_IPS:{TUNNEL_PORT}")),
                // No more than peers reach without a tunnel: what the app keeps on loopback stays its own.
                literal("HYBRIDGE_TUNNEL_TO", "$POD_IPS"),
            ]
        } else {
            let ports: Vec<String> = self
                .exposed
                .iter()
                .map(|e| format!("{}=127.0.0.1:{}", e.listen, e.app))
                .collect();
            vec![literal("HYBRIDGE_PORTS", ports.join(","))]
        };
        let protocol = if self.request.tunnel {
            "tunnel".to_owned()
        } else {
            annotations::spelling(&self.request.protocol)
        };
        match self.agent() {
            // It is waited for without being told to.
            Some(agent) => env.push(literal(
                "HYBRIDGE_SPIFFE",
                format!("unix:{AGENT_DIR}/{}", agent.socket),
            )),
            None => env.extend([
                literal("HYBRIDGE_CERT", format!("{TLS_DIR}/tls.crt")),
                literal("HYBRIDGE_KEY", format!("{TLS_DIR}/tls.key")),
                // A sidecar that ends would free the port and take the app's probes along.
                literal("HYBRIDGE_WAIT_FOR_CERTIFICATE", "true"),
            ]),
        }
        env.extend([
            literal("HYBRIDGE_POLICY", self.request.policy.name()),
            literal("HYBRIDGE_PROTOCOL", protocol),
        ]);
        env
    }

    /// The variables that say which clients are allowed.
    fn clients(&self) -> Vec<Value> {
        let Some(clients) = &self.request.clients else {
            return Vec::new();
        };
        let mut env = vec![literal("HYBRIDGE_CLIENT_AUTH", clients.mode)];
        if clients.ca.is_some() {
            env.push(literal(
                "HYBRIDGE_CLIENT_CA",
                format!("{TLS_DIR}/{CLIENT_CA}"),
            ));
        }
        if clients.crl.is_some() {
            env.push(literal(
                "HYBRIDGE_CLIENT_CRL",
                format!("{TLS_DIR}/{CLIENT_CRL}"),
            ));
        }
        env.extend(
            clients
                .rules
                .iter()
                .map(|(rule, value)| literal(&variable(rule), escaped(value))),
        );
        env
    }
}

/// The pod's addresses for kubelet and Prometheus, loopback for `ctl`, whose commands count only from there.
/// The sidecar itself fills in `$POD_IPS`: `$(POD_IPS)`, which the kubelet would, is ambiguous for IPv6.
fn admin_addresses() -> String {
    format!("$POD_IPS:{ADMIN_PORT},127.0.0.1:{ADMIN_PORT}")
}

fn downward(name: &str, field: &str) -> Value {
    json!({"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": field}}})
}

/// The variable of a flag.
fn variable(flag: &str) -> String {
    format!("HYBRIDGE_{}", flag.to_ascii_uppercase().replace('-', "_"))
}

/// A reference of the kubelet's, `$(NAME)`, means nothing in a rule.
pub(super) fn escaped(value: &str) -> String {
    value.replace("$(", "$$(")
}

pub(super) fn literal(name: &str, value: impl Into<String>) -> Value {
    json!({"name": name, "value": value.into()})
}
