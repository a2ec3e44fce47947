//! hybridge: hybrid post-quantum TLS in front of an inference server, with evidence of both.
#![forbid(unsafe_code)]

pub mod admin;
pub mod config;
pub mod drain;
pub mod listener;
mod nearest;
pub mod proxy;
pub mod tls;
