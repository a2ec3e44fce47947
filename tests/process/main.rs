//! The program as its operator meets it: command line, configuration, limits, log, admin port, drain.
#![allow(
    clippy::expect_used,
    clippy::float_cmp,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used
)]

mod admin;
mod cli;
mod config;
mod ctl;
mod demo;
mod drain;
mod floods;
mod inventory;
mod limits;
mod log;
mod metrics_golden;
mod monitoring;
mod port_takeover;
mod secrets;
mod start;
mod ticket_keys;
mod ticket_rotation;
mod upstream_sockets;

#[path = "../support/mod.rs"]
mod support;
