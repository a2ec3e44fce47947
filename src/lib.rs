//! hybridge: hybrid post-quantum TLS in front of an upstream, with evidence of both.
//!
//! A map; imports go down it and never back:
//!
//! - [`run`]: a [`config::Config`] becomes a running process. [`demo`], [`certgen`], [`ctl`] and
//!   [`inject`] are the other commands, [`cli`] their flags.
//! - [`config`]: flags, environment and file, read once, with nothing left open.
//! - [`proxy`]: a connection from accepted to closed ([`proxy::connection`] is the spine), HTTP and
//!   tunnels. [`admin`]: the operator's port.
//! - [`tls`]: [`tls::policy`] decides, [`tls::handshake`] performs and counts, [`tls::credentials`] and
//!   [`tls::reload`] keep certificates. [`census`]: who comes without a hybrid group. [`listener`]: sockets.
//! - [`signature`]: who signed a request. [`spiffe`]: the client of a Workload API. [`traces`]: spans of
//!   requests, and their way to a collector.
//! - [`metrics`], [`drain`], [`io`], [`budget`], [`fairness`], [`panics`], [`log_limit`], [`proxy_protocol`],
//!   `secret_file`, `json`: leaves that import nothing above them.
//!
//! `docs/architecture.md` says where to change what.
#![forbid(unsafe_code)]

pub mod admin;
pub mod budget;
pub mod build;
pub mod census;
pub mod certgen;
pub mod cli;
pub mod config;
mod counted;
pub mod ctl;
pub mod demo;
pub mod drain;
pub mod fairness;
pub mod inject;
pub mod io;
mod json;
pub mod listener;
pub mod log_limit;
pub mod metrics;
pub mod panics;
pub mod probes;
pub mod proxy;
pub mod proxy_protocol;
mod regular_file;
pub mod run;
mod secret_file;
pub mod signature;
pub mod spiffe;
mod suggest;
pub mod ticket_keys;
mod time;
pub mod tls;
pub mod traces;
pub mod worker;

pub use hybridge_redact as redact;
