//! Manifests in, injected manifests out: `hybridge inject`, and what it reads and writes.

pub(crate) mod documents;
pub(crate) mod input;
mod kinds;
mod line_breaks;
pub(crate) mod lists;
pub(crate) mod misplaced;
mod namespace_file;
pub mod offline;
mod scalar;
pub(crate) mod unseen;
pub(crate) mod workloads;
pub(crate) mod yaml;
mod yaml_error;
pub(crate) mod yaml_out;

pub use yaml_error::YamlError;
