//! Messages on the wire: HTTP/1.1 and HTTP/2 read and written, and what both have in common.

pub(crate) mod digest_check;
pub(crate) mod event_comment;
pub(crate) mod h1;
pub(crate) mod h2;
pub(crate) mod headers;
pub(crate) mod linger;
pub(crate) mod media_type;
pub(crate) mod message;
pub(crate) mod patience;
pub(crate) mod signing;
