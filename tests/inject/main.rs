//! The injector through its public API: golden patches per pod shape, the hard cases of real clusters,
//! properties of the planner, the offline front, the webhook's HTTP side and its certificates.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod as_kubectl;
mod binding;
mod certs;
mod clients;
mod cluster;
mod cluster_defaults;
mod cluster_input;
mod cluster_installed;
mod cluster_places;
mod controllers;
mod docs;
mod egress;
mod egress_env;
mod environment;
mod golden;
mod hard_cases;
mod idempotence;
mod manifests;
mod namespace_concern;
mod namespace_precedence;
mod namespaces;
mod offline;
mod offline_input;
mod operator;
mod probes;
mod properties;
mod refusals;
mod removal;
mod sealed;
mod server;
mod shapes;
mod spiffe;
mod support;
mod traces;
mod typed;
mod webhook;
