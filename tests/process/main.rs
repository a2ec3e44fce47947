//! The program as its operator meets it: command line, configuration, limits, log, admin port, drain.
#![allow(
    clippy::expect_used,
    clippy::float_cmp,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used
)]

mod access_log;
mod admin;
mod census;
mod cli;
mod config;
mod contract;
mod ctl;
mod demo;
mod drain;
mod drain_delivered;
mod drain_silent;
mod egress_drain;
mod egress_withheld;
mod faults;
mod floods;
mod half_done;
mod inject;
mod inventory;
mod inventory_limits;
mod inventory_peers;
mod limits;
mod log;
mod log_fields;
mod log_stalled;
mod metrics_golden;
mod monitoring;
mod pages;
mod permissions;
mod port_takeover;
mod profile;
mod reload;
mod sealing;
mod secrets;
mod service_manager;
mod start;
mod ticket_keys;
mod ticket_rotation;
mod traces;
mod upstream_sockets;

#[path = "../support/mod.rs"]
mod support;
