//! What is sent against TLS 1.3 (RFC 8446) to break a server, as tlsfuzzer does: bytes on real sockets,
//! the alert on the wire, the reason that is counted, the line in the log. More of it, a rule at a time, is
//! in `tests/tls` (`handshake_rules`, `handshake_failures`, `early_data`).

mod drain_at_handshake;
mod half_messages;
mod half_open;
mod hello_floods;
mod mutations;
mod panics;
mod panics_upstream;
mod panics_webhook;
