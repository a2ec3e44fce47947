//! What clients and upstreams do at their worst: TLS messages in pieces and at random, floods of hellos,
//! tasks that panic, slow readers at a drain, windows of zero, interim responses without end. Runs in minutes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::float_cmp,
    clippy::panic,
    clippy::print_stdout
)]

mod http;
mod tls;

#[path = "../support/mod.rs"]
mod support;
