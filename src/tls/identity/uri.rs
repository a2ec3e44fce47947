//! URIs as names (RFC 3986 §3; SPIFFE-ID §2).

/// Visible ASCII only (RFC 3986 §2, RFC 5280 §4.2.1.6).
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a URI has the scheme, and so is meant as a SPIFFE ID.
pub(super) fn is_spiffe(uri: &str) -> bool {
    uri.get(..9)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe://"))
}

/// Whether a URI is a SPIFFE ID with the characters that one may have (SPIFFE-ID §2).
pub(super) fn is_spiffe_id(text: &str) -> bool {
    let may_hold = |part: &str, also: fn(&u8) -> bool| {
        let plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_');
        part.bytes().all(|byte| plain(byte) || also(&byte))
    };
    Uri::parse(text).is_some_and(|uri| {
        uri.scheme == "spiffe"
            && may_hold(uri.authority, u8::is_ascii_lowercase)
            && uri
                .segments()
                .all(|segment| may_hold(segment, u8::is_ascii_alphabetic))
    })
}

/// A URI whose parts can be compared as they stand.
pub(super) struct Uri<'a> {
    pub(super) scheme: &'a str,
    pub(super) authority: &'a str,
    /// With its first slash; empty without one.
    path: &'a str,
}

impl<'a> Uri<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let uri = Self {
            scheme,
            authority,
            path,
        };
        let comparable = |segment: &str| !matches!(segment, "" | "." | "..");
        let plain = is_plain(text) && !text.contains(['%', '?', '#', '\\']);
        let whole = !scheme.is_empty() && !authority.is_empty();
        (plain && whole && uri.segments().all(comparable)).then_some(uri)
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = &'a str> {
        let path = self.path.strip_prefix('/');
        path.into_iter().flat_map(|path| path.split('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spiffe_id_is_one_that_every_reader_reads_alike() {
        for (uri, expected) in [
            ("spiffe://a.org/ns/ai/sa/Batch_1-x.y", true),
            ("spiffe://a.org", true),
            ("spiffe://a.org/", false),
            ("spiffe://", false),
            ("spiffe:///x", false),
            ("spiffe://A.org/x", false),
            ("SPIFFE://a.org/x", false),
            ("spiffe://a.org:443/x", false),
            ("spiffe://user@a.org/x", false),
            ("spiffe://a.org/../x", false),
            ("spiffe://a.org/./x", false),
            ("spiffe://a.org//x", false),
            ("spiffe://a.org/%2e/x", false),
            ("spiffe://a.org/x?y", false),
            ("spiffe://a.org/x#y", false),
            ("spiffe://a.org/x;y", false),
            ("https://a.org/x", false),
        ] {
            assert_eq!(is_spiffe_id(uri), expected, "{uri}");
        }
    }
}
