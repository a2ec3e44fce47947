//! HTTP/2 as the proxy needs it beside the `h2` crate: streams as messages, small frames sent in one
//! piece, refusals counted, memory bounded (RFC 9113).

mod client_settings;
mod first_bytes;
mod frame;
pub(crate) mod held_heads;
mod open_head;
pub(crate) mod opened_stream;
pub(crate) mod pings;
pub(crate) mod refusals;
pub(crate) mod reserve;
pub(crate) mod response_ends;
mod sender;
mod share_of_outgoing;
pub(crate) mod stream;
pub(crate) mod unsent;
mod upload_window;
pub(crate) mod write_coalescer;
