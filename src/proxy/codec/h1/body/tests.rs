#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;

/// Feeds `wire` in pieces of `step` bytes; content, trailers and what is left over.
fn decode(
    framing: Framing,
    wire: &[u8],
    step: usize,
) -> Result<(Vec<u8>, HeaderMap, bool), FramingError> {
    let mut decoder = Decoder::new(framing);
    let mut buf = BytesMut::new();
    let (mut content, mut trailers) = (Vec::new(), HeaderMap::new());
    for piece in wire.chunks(step) {
        buf.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buf)? {
                Decoded::Frame(Frame::Data(bytes)) => content.extend_from_slice(&bytes),
                Decoded::Frame(Frame::Trailers(fields)) => trailers = fields,
                Decoded::NeedMore => break,
                Decoded::End => return Ok((content, trailers, buf.is_empty())),
            }
        }
    }
    Ok((content, trailers, false))
}

const CHUNKED: &[u8] = b"5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nx-sum: 7\r\nhost: evil\r\n\r\n";

#[test]
fn chunks_decode_the_same_however_they_arrive() {
    for step in 1..CHUNKED.len() {
        let (content, trailers, all) = decode(Framing::Chunked, CHUNKED, step).unwrap();
        assert_eq!(content, b"hello world");
        assert_eq!(trailers.len(), 1);
        assert_eq!(trailers["x-sum"], "7");
        assert!(all);
    }
}

#[test]
fn chunk_framing_that_parsers_disagree_about_is_refused() {
    for (wire, error) in [
        (&b"5\nhello\r\n"[..], FramingError::ChunkSize),
        (b"0x5\r\nhello\r\n", FramingError::ChunkSize),
        (b"+5\r\nhello\r\n", FramingError::ChunkSize),
        (b"-1\r\n", FramingError::ChunkSize),
        (b"\r\n", FramingError::ChunkSize),
        (b"11111111111111111\r\n", FramingError::ChunkSize),
        (b"5 a\r\nhello\r\n", FramingError::ChunkSize),
        (b"5;a\x01\r\nhello\r\n", FramingError::ChunkSize),
        (b"5\r\nhelloX\r\n", FramingError::ChunkEnd),
        (b"5\r\nhello\n0\r\n\r\n", FramingError::ChunkEnd),
        (b"0\r\nbad trailer\r\n\r\n", FramingError::Trailers),
        (b"0\r\nx: 1\n\r\n", FramingError::Trailers),
    ] {
        assert_eq!(
            decode(Framing::Chunked, wire, wire.len()).err(),
            Some(error),
            "{}",
            wire.escape_ascii()
        );
    }
}

#[test]
fn a_length_ends_where_it_says_and_leaves_the_rest() {
    let (content, _, all) = decode(Framing::Length(3), b"abcNEXT", 7).unwrap();
    assert_eq!(content, b"abc");
    assert!(!all);
}

#[test]
fn only_a_body_until_close_may_end_with_the_stream() {
    assert!(Decoder::new(Framing::UntilClose).ends_with_stream());
    assert!(!Decoder::new(Framing::Length(1)).ends_with_stream());
    assert!(!Decoder::new(Framing::Chunked).ends_with_stream());
}
