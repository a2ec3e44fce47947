//! `hybridge-loadtest`: what hybrid post-quantum TLS costs, measured in pairs. A black box beside the proxy: it
//! speaks TCP, TLS and HTTP, reads `/metrics` and `/proc`, and never links the proxy.
//! Reading order: `plan` (what is run) -> `run` (interleaved blocks) -> `session` (one operation) -> `stats` ->
//! `results` (the file) -> `report` and `capacity` (pure functions of it).

#![forbid(unsafe_code)]

pub mod capacity;
pub mod cli;
pub mod command;
pub mod error;
pub mod http;
pub mod net;
pub mod observe;
pub mod plan;
pub mod primitives;
mod regular;
pub mod report;
pub mod results;
pub mod rng;
pub mod run;
pub mod session;
pub mod stats;
pub mod stub;
pub mod terminal;
pub mod tls;
pub mod versions;
