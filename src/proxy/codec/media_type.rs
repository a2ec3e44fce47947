//! Media types as the proxy needs them (RFC 9110 §8.3.1).

/// Whether a content-type names this media type, with parameters or without.
pub(crate) fn media_type_is(content_type: &[u8], media_type: &str) -> bool {
    behind(content_type, media_type)
        .is_some_and(|rest| matches!(rest, [] | [b';' | b' ' | b'\t', ..]))
}

/// Whether a content-type is gRPC, whatever its messages are written in (gRPC over HTTP/2, "Requests").
pub(crate) fn is_grpc(content_type: &[u8]) -> bool {
    behind(content_type, "application/grpc")
        .is_some_and(|rest| matches!(rest, [] | [b';' | b' ' | b'+', ..]))
}

/// What follows the media type, if the content-type begins with it.
fn behind<'a>(content_type: &'a [u8], media_type: &str) -> Option<&'a [u8]> {
    let (start, rest) = content_type.split_at_checked(media_type.len())?;
    start
        .eq_ignore_ascii_case(media_type.as_bytes())
        .then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_content_types_are_known_from_their_lookalikes() {
        for yes in [
            "application/grpc",
            "application/grpc+proto",
            "Application/gRPC;x=1",
        ] {
            assert!(is_grpc(yes.as_bytes()), "{yes}");
        }
        for no in [
            "application/grpc-web",
            "application/json",
            "application/grpcx",
        ] {
            assert!(!is_grpc(no.as_bytes()), "{no}");
        }
    }
}
