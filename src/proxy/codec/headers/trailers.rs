//! Which fields may not come behind a body.

use super::spelling::same;
use super::{EVIDENCE, client_certificate, is_about_signatures, is_forwarding, is_hop_by_hop};

/// Fields that must not come as trailers (RFC 9110 §6.5.1), in either direction and version: those
/// that frame or route a message, modify a request, authenticate, describe content or control its
/// response, and ours.
pub(crate) fn forbidden_in_trailers(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 31] = [
        b"host",
        b"trailer",
        b"cache-control",
        b"expect",
        b"max-forwards",
        b"pragma",
        b"range",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"accept",
        b"accept-charset",
        b"accept-encoding",
        b"accept-language",
        b"authorization",
        b"proxy-authorization",
        b"www-authenticate",
        b"cookie",
        b"set-cookie",
        b"age",
        b"date",
        b"expires",
        b"location",
        b"retry-after",
        b"vary",
        b"warning",
        b"via",
        b"strict-transport-security",
        b"access-control-allow-origin",
    ];
    is_hop_by_hop(name)
        || describes_content(name)
        || NAMES.iter().any(|no| name.eq_ignore_ascii_case(no))
        || is_forwarding(name)
        || same(name, EVIDENCE)
        || client_certificate::is_about_it(name)
        || is_about_signatures(name)
}

/// `content-*`, except the digest, which can only be known at the end (RFC 9530 §2).
fn describes_content(name: &[u8]) -> bool {
    const PREFIX: &[u8] = b"content-";
    name.get(..PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
        && !name.eq_ignore_ascii_case(b"content-digest")
}
