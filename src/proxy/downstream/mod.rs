//! What clients speak: HTTP/1.1 and HTTP/2, request after request and stream beside stream.

pub(crate) mod http1;
mod http1_end;
mod http1_forward;
mod http1_idle;
mod http1_signed;
pub(crate) mod http2;
mod http2_forward;
