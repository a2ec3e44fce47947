//! The way of a request: HTTP/1.1, HTTP/2, gRPC, WebSocket and tcp through a sidecar to its upstream.
#![allow(
    clippy::expect_used,
    clippy::float_cmp,
    clippy::print_stdout,
    clippy::unwrap_used
)]

mod abort;
mod app_death;
mod backpressure;
mod client_identity;
mod egress;
mod egress_capture;
mod egress_http;
mod egress_kept;
mod egress_tunnel;
mod framing;
mod grpc;
mod header_fields;
mod http1;
mod http2;
mod proxy_protocol;
mod receipt;
mod signature;
mod signature_keys;
mod signature_replays;
mod signed_events;
mod signed_response;
mod signer;
mod stream_metrics;
mod streaming;
mod tcp;
mod traces;
mod upstream;
mod upstream_http2;
mod upstream_proxy_protocol;
mod websocket;
mod workers;

#[path = "../support/mod.rs"]
mod support;
