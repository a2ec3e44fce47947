//! What tlsfuzzer's TLS 1.3 scripts check and applies here, as cases of our own: bytes on real sockets,
//! the alert on the wire, the reason that is counted, the line in the log. Runs in minutes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::float_cmp,
    clippy::panic,
    clippy::print_stdout
)]

#[path = "torture/drain_at_handshake.rs"]
mod drain_at_handshake;
#[path = "torture/half_messages.rs"]
mod half_messages;
#[path = "torture/half_open.rs"]
mod half_open;
#[path = "torture/hello_floods.rs"]
mod hello_floods;
#[path = "torture/mutations.rs"]
mod mutations;
#[path = "torture/panics.rs"]
mod panics;
#[path = "support/process.rs"]
mod process;
mod support;
