//! The variables of the sidecar's egress, and its files in the volume of the key.

use serde_json::{Value, json};

use super::env::{escaped, literal};
use super::{Sidecar, TLS_DIR};

const CA: &str = "egress-ca.crt";
const CERT: &str = "egress.crt";
const KEY: &str = "egress.key";

impl Sidecar<'_> {
    pub(super) fn egress_env(&self) -> Vec<Value> {
        let Some(egress) = &self.request.egress else {
            return Vec::new();
        };
        let mut env = Vec::new();
        if let Some(capture) = &egress.capture {
            for entry in &egress.entries {
                env.extend([
                    literal("HYBRIDGE_EGRESS_NAME", entry.name.as_str()),
                    literal("HYBRIDGE_EGRESS_LISTEN", entry.listen.to_string()),
                ]);
                if let Some(target) = &entry.target {
                    env.extend([
                        literal("HYBRIDGE_EGRESS_TARGET", target.as_str()),
                        literal("HYBRIDGE_EGRESS_TUNNEL", "true"),
                    ]);
                }
            }
            env.extend([
                literal("HYBRIDGE_EGRESS_CAPTURE", capture.name),
                literal("HYBRIDGE_EGRESS_TARGETS_ALLOWED", capture.allowed.as_str()),
            ]);
        } else {
            let entries = egress.entries.iter().map(|entry| {
                let target = entry.target.as_deref().unwrap_or_default();
                format!("{}={}->{target}", entry.name, entry.listen)
            });
            let entries: Vec<String> = entries.collect();
            env.push(literal("HYBRIDGE_EGRESS", entries.join(",")));
        }
        if let Some(protocol) = egress.protocol {
            env.push(literal("HYBRIDGE_EGRESS_PROTOCOL", protocol));
        }
        env.extend([
            literal("HYBRIDGE_EGRESS_POLICY", egress.policy.name()),
            literal("HYBRIDGE_EGRESS_CA", format!("{TLS_DIR}/{CA}")),
        ]);
        if egress.tls_secret.is_some() {
            env.extend([
                literal("HYBRIDGE_EGRESS_CERT", format!("{TLS_DIR}/{CERT}")),
                literal("HYBRIDGE_EGRESS_KEY", format!("{TLS_DIR}/{KEY}")),
            ]);
        }
        if let Some(ids) = &egress.peer_ids {
            env.push(literal("HYBRIDGE_EGRESS_PEER_IDS", escaped(ids)));
        }
        env.push(literal(
            "HYBRIDGE_EGRESS_MAX_CONNECTIONS",
            self.max_connections(),
        ));
        env
    }

    /// Sources of the projected volume.
    pub(super) fn egress_files(&self) -> Vec<Value> {
        let Some(egress) = &self.request.egress else {
            return Vec::new();
        };
        let mut sources = vec![egress.ca.projection(CA)];
        sources.extend(egress.tls_secret.iter().map(|name| {
            json!({"secret": {"name": name, "items": [{"key": "tls.crt", "path": CERT}, {"key": "tls.key", "path": KEY}]}})
        }));
        sources
    }
}
