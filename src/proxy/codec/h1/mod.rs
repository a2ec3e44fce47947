//! HTTP/1.1 as the proxy needs it: strict heads, bodies that stream, nothing buffered (RFC 9112).

pub(crate) mod body;
pub(crate) mod connection;
pub(crate) mod head_error;
pub(crate) mod head_scanner;
pub(crate) mod request;
pub(crate) mod response;
