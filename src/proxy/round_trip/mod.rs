//! A round trip to the upstream: a request out, its body forwarded meanwhile, the response head back. The
//! client may be of either HTTP version.

mod error;
mod http1;
mod http2;
mod interim;

pub(crate) use self::error::RoundTripError;
pub(crate) use self::http1::{Http1Response, UpstreamRequest, send_http1};
pub(crate) use self::http2::{Http2Response, send_http2};
