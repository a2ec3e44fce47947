//! hybridge: hybrid post-quantum TLS in front of an inference server, with evidence of both.
#![forbid(unsafe_code)]

pub mod admin;
pub mod build;
pub mod certgen;
pub mod cli;
pub mod config;
pub mod ctl;
pub mod demo;
pub mod drain;
pub mod inject;
pub mod io;
pub mod listener;
pub mod metrics;
mod nearest;
pub mod proxy;
pub mod run;
pub mod tls;
