//! The injector through its public API: golden patches per pod shape, the hard cases of real clusters,
//! properties of the planner, the offline front, the webhook's HTTP side and its certificates.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "inject/support.rs"]
mod support;

#[path = "inject/as_kubectl.rs"]
mod as_kubectl;
#[path = "inject/binding.rs"]
mod binding;
#[path = "inject/certs.rs"]
mod certs;
#[path = "inject/cluster.rs"]
mod cluster;
#[path = "inject/cluster_defaults.rs"]
mod cluster_defaults;
#[path = "inject/docs.rs"]
mod docs;
#[path = "inject/environment.rs"]
mod environment;
#[path = "inject/golden.rs"]
mod golden;
#[path = "inject/hard_cases.rs"]
mod hard_cases;
#[path = "inject/idempotence.rs"]
mod idempotence;
#[path = "inject/manifests.rs"]
mod manifests;
#[path = "inject/offline.rs"]
mod offline;
#[path = "inject/operator.rs"]
mod operator;
#[path = "inject/properties.rs"]
mod properties;
#[path = "inject/refusals.rs"]
mod refusals;
#[path = "inject/removal.rs"]
mod removal;
#[path = "inject/shapes.rs"]
mod shapes;
#[path = "inject/typed.rs"]
mod typed;
#[path = "inject/webhook.rs"]
mod webhook;
