//! The TOML of a plan, before any of it is checked.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Role, Scenario};
use crate::tls::Group;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) name: String,
    #[serde(default = "default_rounds")]
    pub(super) rounds: u32,
    #[serde(default = "default_block")]
    pub(super) block: String,
    #[serde(default = "default_warmup")]
    pub(super) warmup: String,
    /// Files that name processes whose CPU time is the run's own: a backend behind the targets.
    #[serde(default)]
    pub(super) beside: Vec<PathBuf>,
    #[serde(default)]
    pub(super) target: Vec<TargetFile>,
    pub(super) case: Vec<CaseFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetFile {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) role: Role,
    pub(super) groups: Option<Vec<Group>>,
    pub(super) expect: Option<Group>,
    pub(super) ca: Option<PathBuf>,
    pub(super) server_name: Option<String>,
    pub(super) client_cert: Option<PathBuf>,
    pub(super) client_key: Option<PathBuf>,
    pub(super) pid: Option<u32>,
    pub(super) pid_file: Option<PathBuf>,
    pub(super) metrics: Option<String>,
    pub(super) listener: Option<String>,
    pub(super) connections: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseFile {
    pub(super) scenario: Scenario,
    pub(super) connections: Option<Vec<u32>>,
    /// Operations per second: makes the load open.
    pub(super) rate: Option<Vec<f64>>,
    pub(super) streams: Option<u32>,
    pub(super) rtt: Option<Vec<String>>,
    pub(super) bandwidth: Option<Vec<String>>,
    pub(super) up: Option<String>,
    pub(super) down: Option<String>,
    pub(super) tokens: Option<u32>,
    pub(super) token_interval: Option<String>,
    pub(super) rounds: Option<u32>,
    pub(super) block: Option<String>,
    pub(super) warmup: Option<String>,
}

fn default_rounds() -> u32 {
    8
}

fn default_block() -> String {
    "300ms".into()
}

fn default_warmup() -> String {
    "60ms".into()
}
