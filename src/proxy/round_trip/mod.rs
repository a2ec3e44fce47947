//! A round trip to the upstream: a request out, its body forwarded meanwhile, the response head back. The
//! client may be of either HTTP version.

mod ahead;
mod error;
mod http1;
mod http2;
mod interim;
mod response;

pub(crate) use self::error::RoundTripError;
pub(crate) use self::http1::{UpstreamRequest, send_http1};
pub(crate) use self::http2::send_http2;
pub(crate) use self::interim::{Interim, InterimHead};
pub(crate) use self::response::{Http2Head, UpstreamResponse};
