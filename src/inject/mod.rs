//! Injection of the sidecar into pods. [`plan`](plan()) is the pure core over raw JSON; `manifest` (offline)
//! and `webhook` call it, `cluster` reports on what they did, `certs` prints the webhook's certificates.
//! Imports go `command` -> those four -> `plan`; the sidecar itself imports nothing from here.

pub mod certs;
mod certs_check;
mod cli;
pub mod cluster;
mod command;
mod error;
mod manifest;
mod plan;
mod webhook;

pub use cli::{CertsArgs, ClusterArgs, InjectArgs, InjectCommand, OfflineArgs, ServeArgs};
pub use command::command;
pub use error::Error;
pub use manifest::{YamlError, offline};
pub use plan::{
    ANNOTATIONS, Decision, Defaults, Deny, INJECT_LABEL, NAMESPACE_LABEL, NamespaceDefaults, Plan,
    Settings, Step, plan, plan_in, remove, remove_in,
};
pub use webhook::{BODY_LIMIT, ENFORCED_PATH, NAMESPACE_PATH, OBJECT_PATH, Server, Webhook};

/// Reads one YAML document as the offline front does, which is as `kubectl` does.
pub fn read_yaml(text: &str) -> Result<serde_json::Value, YamlError> {
    manifest::yaml::read(text)
}
