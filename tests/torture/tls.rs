//! What tlsfuzzer's TLS 1.3 scripts check and applies here, as cases of our own: bytes on real sockets,
//! the alert on the wire, the reason that is counted, the line in the log.

mod drain_at_handshake;
mod half_messages;
mod half_open;
mod hello_floods;
mod mutations;
mod panics;
mod panics_upstream;
mod panics_webhook;
