//! Injection of the sidecar into pods: `hybridge inject` (offline), `inject serve` (webhook) and
//! `inject certs`. `plan` is the pure core over raw JSON; `offline`, `review` and `webhook` are its fronts.
//! Imports nothing of the proxy; the sidecar imports only `probes` from here.

pub mod annotation_table;
mod annotations;
mod argv;
mod bind;
mod catalog;
pub mod certs;
mod cli;
pub mod cluster;
mod command;
mod connection;
mod container;
mod defaults;
mod deny;
mod documents;
mod drain;
mod error;
mod foreign;
mod handlers;
mod labels;
mod manifest;
mod namespace_defaults;
mod notes;
mod observe;
pub mod offline;
mod patch;
mod plan;
mod pod;
mod ports;
mod previous;
mod refuse;
mod resources;
mod review;
mod serve;
mod settings;
mod webhook;
mod yaml;
mod yaml_out;

pub use cli::{CertsArgs, ClusterArgs, InjectArgs, InjectCommand, OfflineArgs, ServeArgs};
pub use command::command;
pub use defaults::Defaults;
pub use deny::Deny;
pub use error::Error;
pub use labels::{Decision, INJECT_LABEL, NAMESPACE_LABEL};
pub use namespace_defaults::NamespaceDefaults;
pub use notes::Step;
pub use plan::{Plan, plan, remove};
pub use serve::Server;
pub use settings::Settings;
pub use webhook::{BODY_LIMIT, ENFORCED_PATH, NAMESPACE_PATH, OBJECT_PATH, Webhook};
pub use yaml::YamlError;

/// Reads one YAML document as the offline front does, which is as `kubectl` does.
pub fn read_yaml(text: &str) -> Result<serde_json::Value, YamlError> {
    yaml::read(text)
}
