//! The planner: one pod in, JSON Patch operations out. A pure function over raw JSON that does no input or
//! output; `manifest` and `webhook` both call it, so the same pod gives the same result in both.

mod annotations;
pub(super) mod argv;
mod bind;
mod catalog;
mod defaults;
pub(crate) mod deny;
mod drain_gate;
mod editor;
mod egress;
mod insertion;
mod known_annotations;
pub(crate) mod labels;
pub(crate) mod names;
mod namespace_defaults;
mod outcome;
pub(crate) mod pod;
mod ports;
mod preconditions;
mod preserve;
mod previous;
mod probe_rewrite;
mod quantity;
mod removal;
mod resources;
mod sealed;
pub(crate) mod settings;
mod sidecar;
mod trace;

pub use deny::Deny;
pub use insertion::{plan, plan_in};
pub use known_annotations::ANNOTATIONS;
pub use labels::{Decision, INJECT_LABEL, NAMESPACE_LABEL};
pub use outcome::Plan;
pub use removal::{remove, remove_in};
pub use settings::{Defaults, NamespaceDefaults, Settings};
pub use trace::Step;
