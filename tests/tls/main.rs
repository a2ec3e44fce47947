//! Handshakes, groups, certificates and their reload: what a listener negotiates, counts and refuses.
#![allow(
    clippy::expect_used,
    clippy::float_cmp,
    clippy::print_stderr,
    clippy::unnecessary_wraps,
    clippy::unwrap_used
)]

mod certgen;
mod certificate_kinds;
mod certificates;
mod client_certificates;
mod client_certificates_cas;
mod client_certificates_lists;
mod client_certificates_reload;
mod client_certificates_revoked;
mod client_certificates_signatures;
mod early_data;
mod egress;
mod egress_cas;
mod egress_verification;
mod handshake_evidence;
mod handshake_failures;
mod handshake_rules;
mod policy_matrix;
mod reload;
mod reload_files;
mod reload_log;
mod resumption;
mod resumption_ends;
mod server_names;
mod server_names_dual;
mod signing;
mod workload_api;
mod workload_api_bundles;
mod workload_api_revoked;
mod workload_api_sessions;

#[path = "../support/mod.rs"]
mod support;
