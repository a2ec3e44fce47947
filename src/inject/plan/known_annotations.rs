//! Which annotations the table has, and what is said of one that it does not have.

use super::annotation_table::TABLE;
use super::names::PREFIX;
use crate::suggest::{Aliases, suggest_or_alias};

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

/// Whether `name` (without prefix) is in the table.
pub(crate) fn is_known(name: &str) -> bool {
    TABLE.iter().any(|row| row.name == name)
}

pub(crate) fn unknown_message(name: &str) -> String {
    if name == "inject" || name == "injection" {
        return format!(
            "{PREFIX}{name} is a label, not an annotation; move it to metadata.labels of the pod (inject) or the namespace (injection)"
        );
    }
    let nearest = suggest_or_alias(name, TABLE.iter().map(|row| row.name), ALIASES);
    match nearest {
        Some(known) => {
            format!("annotation {PREFIX}{name} is not known; did you mean {PREFIX}{known}?")
        }
        None => format!(
            "annotation {PREFIX}{name} is not known; known are {}",
            known_names()
        ),
    }
}

fn known_names() -> String {
    TABLE
        .iter()
        .map(|row| row.name)
        .collect::<Vec<_>>()
        .join(", ")
}
