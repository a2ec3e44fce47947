//! HTTP as a client needs it for measuring: HTTP/1.1 (RFC 9112) of our own over any stream, HTTP/2 and gRPC over
//! the `h2` crate. Bodies are counted, not kept.

pub mod grpc;
pub mod h1;
pub mod h2;
