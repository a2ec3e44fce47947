//! The tool as its user meets it: what it prints, keeps and refuses, and the bytes it counts.
#![allow(clippy::expect_used, clippy::print_stderr, clippy::unwrap_used)]

mod announced;
mod backend;
mod browser;
mod bytes_equal_openssl;
mod capacity;
mod checked;
mod cli;
mod compared;
mod early;
mod endings;
mod fits;
mod golden;
mod http2;
mod kept;
mod merging;
mod model_server;
mod order;
mod own_servers;
mod relay;
mod secrets;
mod shards;
mod shards_apart;
mod silent;
mod spin;
mod stranger;
mod zero_baseline;

#[path = "../support/mod.rs"]
mod support;
