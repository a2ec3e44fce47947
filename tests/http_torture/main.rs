//! What clients and inference servers do at their worst, over both HTTP versions: slow readers at a
//! drain, windows of zero, floods of interim responses, one request written in two grammars.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "../support/http.rs"]
mod http_support;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/mod.rs"]
mod support;

mod drains;
mod early;
mod frames;
mod grammar;
mod interim;
mod memory;
mod upstreams;
mod windows;
