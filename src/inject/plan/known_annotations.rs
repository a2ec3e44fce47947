//! Which annotations there are, and what is said of one that is none of them.

use self::Of::{Any, Ingress};
use super::names::PREFIX;
use crate::suggest::{Aliases, suggest_or_alias};

/// Every annotation without its prefix, in the order of the table in `docs/kubernetes.md`, which has defaults and meanings.
pub const ANNOTATIONS: &[&str] = &{
    let mut names = [""; TABLE.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = TABLE[at].0;
        at += 1;
    }
    names
};

/// Whose connections an annotation says something about.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    /// Those that come in, and nothing else.
    Ingress,
    Any,
}

const TABLE: [(&str, Of); 48] = [
    ("ports", Any),
    ("mode", Ingress),
    ("listen-port", Ingress),
    ("protocol", Ingress),
    ("tls-secret", Ingress),
    ("spiffe", Ingress),
    ("policy", Ingress),
    ("client-auth", Ingress),
    ("client-ca", Ingress),
    ("client-crl", Ingress),
    ("allow-uri", Ingress),
    ("allow-dns", Ingress),
    ("allow-ip", Ingress),
    ("allow-cn", Ingress),
    ("allow-any", Ingress),
    ("ticket-keys", Ingress),
    ("identity", Ingress),
    ("proxy-protocol-from", Ingress),
    ("upstream-proxy-protocol", Ingress),
    ("bind", Ingress),
    ("bind-env", Ingress),
    ("drain-timeout", Any),
    ("drain-delay", Any),
    ("init-order", Any),
    ("cpu-request", Any),
    ("cpu-limit", Any),
    ("memory", Any),
    ("tunnel", Any),
    ("egress", Any),
    ("egress-capture", Any),
    ("egress-targets-allowed", Any),
    ("egress-protocol", Any),
    ("egress-ca", Any),
    ("egress-tls-secret", Any),
    ("egress-peer-ids", Any),
    ("egress-policy", Any),
    ("egress-env", Any),
    ("sealed", Any),
    ("sealed-identity", Any),
    ("sealed-signer", Any),
    ("sealed-size", Any),
    ("traces-endpoint", Ingress),
    ("traces-ca", Ingress),
    ("traces-sample", Ingress),
    ("traces-service-name", Ingress),
    ("log-level", Any),
    ("allow-shared-pid", Any),
    ("status", Any),
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

/// Those that have no effect where no connection comes in.
pub(crate) fn of_ingress() -> impl Iterator<Item = &'static str> {
    let table = TABLE.iter();
    table
        .filter(|(_, of)| *of == Ingress)
        .map(|(name, _)| *name)
}

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
