//! The statement as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Deserialize, Serialize)]
pub(super) struct Statement {
    #[serde(rename = "_type")]
    pub(super) kind: String,
    pub(super) subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    pub(super) predicate_type: String,
    pub(super) predicate: Predicate,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) digest: BTreeMap<String, String>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Predicate {
    pub(super) serialization: Serialization,
    pub(super) resources: Vec<Resource>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Serialization {
    pub(super) method: String,
    pub(super) hash_type: String,
    #[serde(default)]
    pub(super) allow_symlinks: bool,
    // A number of protobuf's JSON may have a decimal point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) shard_size: Option<serde_json::Number>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) ignore_paths: Vec<String>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Resource {
    pub(super) name: String,
    pub(super) algorithm: String,
    pub(super) digest: String,
}
