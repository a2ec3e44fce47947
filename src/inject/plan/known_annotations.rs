//! Which annotations there are, and what is said of one that is none of them.

use super::names::PREFIX;
use crate::suggest::{Aliases, suggest_or_alias};

/// Every annotation without its prefix, in the order of the table in `docs/kubernetes.md`, which has defaults and meanings.
pub const ANNOTATIONS: &[&str] = &[
    "ports",
    "mode",
    "listen-port",
    "protocol",
    "tls-secret",
    "spiffe",
    "policy",
    "client-auth",
    "client-ca",
    "client-crl",
    "allow-uri",
    "allow-dns",
    "allow-ip",
    "allow-cn",
    "allow-any",
    "ticket-keys",
    "identity",
    "proxy-protocol-from",
    "upstream-proxy-protocol",
    "bind",
    "bind-env",
    "drain-timeout",
    "drain-delay",
    "init-order",
    "cpu-request",
    "cpu-limit",
    "memory",
    "tunnel",
    "egress",
    "egress-capture",
    "egress-targets-allowed",
    "egress-protocol",
    "egress-ca",
    "egress-tls-secret",
    "egress-peer-ids",
    "egress-policy",
    "egress-env",
    "sealed",
    "sealed-identity",
    "sealed-signer",
    "sealed-size",
    "traces-endpoint",
    "traces-ca",
    "traces-sample",
    "traces-service-name",
    "log-level",
    "allow-shared-pid",
    "status",
];

/// Names of flags and of the configuration, for what has another name as an annotation.
const ALIASES: Aliases = &[
    ("cert-secret", "tls-secret"),
    ("secret", "tls-secret"),
    ("port", "ports"),
    ("mtls", "client-auth"),
    ("crl", "client-crl"),
    ("spire", "spiffe"),
    ("otlp-endpoint", "traces-endpoint"),
    ("traces", "traces-endpoint"),
];

/// Whether `name` (without prefix) is one of them.
pub(crate) fn is_known(name: &str) -> bool {
    ANNOTATIONS.contains(&name)
}

pub(crate) fn unknown_message(name: &str) -> String {
    if name == "inject" || name == "injection" {
        return format!(
            "{PREFIX}{name} is a label, not an annotation; move it to metadata.labels of the pod (inject) or the namespace (injection)"
        );
    }
    let nearest = suggest_or_alias(name, ANNOTATIONS.iter().copied(), ALIASES);
    match nearest {
        Some(known) => {
            format!("annotation {PREFIX}{name} is not known; did you mean {PREFIX}{known}?")
        }
        None => format!(
            "annotation {PREFIX}{name} is not known; known are {}",
            ANNOTATIONS.join(", ")
        ),
    }
}
