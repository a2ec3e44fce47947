//! The signatures of a stream of server-sent events as a comment behind the last one, for clients that see
//! no trailers. Parsers skip comments.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};

use crate::proxy::codec::media_type::media_type_is;
use crate::signature::SIGNATURE_FIELDS;

/// Bytes that tell how the last event ended.
const KEPT: usize = 4;

/// Whether a comment can follow: bytes of an encoding cannot be continued by text.
pub(crate) fn takes_comment(fields: &HeaderMap) -> bool {
    let events = fields
        .get(CONTENT_TYPE)
        .is_some_and(|kind| media_type_is(kind.as_bytes(), "text/event-stream"));
    events && !fields.contains_key(CONTENT_ENCODING)
}

/// How what passed of a stream of events ends.
#[derive(Debug, Default)]
pub(crate) struct EventTail(Vec<u8>);

impl EventTail {
    /// A piece passes.
    pub(crate) fn update(&mut self, piece: &[u8]) {
        let new = piece.get(piece.len().saturating_sub(KEPT)..);
        self.0.extend_from_slice(new.unwrap_or_default());
        let surplus = self.0.len().saturating_sub(KEPT);
        self.0.drain(..surplus);
    }

    /// What ends an unfinished line. It becomes part of the content that is signed.
    pub(crate) fn line_end(&self) -> &'static [u8] {
        match self.0.as_slice() {
            [] | [.., b'\n' | b'\r'] => b"",
            _ => b"\n",
        }
    }

    /// The fields as lines of a comment. A blank line follows only where the last event is complete: it
    /// would complete another one, which clients drop at the end.
    pub(crate) fn comment(&self, fields: &HeaderMap) -> Bytes {
        let mut comment = Vec::new();
        for name in SIGNATURE_FIELDS {
            if let Some(value) = fields.get(name) {
                for part in [b": ", name.as_bytes(), b" ", value.as_bytes(), b"\n"] {
                    comment.extend_from_slice(part);
                }
            }
        }
        if comment.is_empty() {
            return Bytes::new();
        }
        if self.is_behind_event() {
            comment.push(b'\n');
        }
        Bytes::from([self.line_end(), &comment].concat())
    }

    fn is_behind_event(&self) -> bool {
        let ends: [&[u8]; 3] = [b"\n\n", b"\r\r", b"\n\r\n"];
        self.0.is_empty() || ends.iter().any(|end| self.0.ends_with(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_comment_completes_no_event() {
        let fields = HeaderMap::from_iter([(
            http::HeaderName::from_static("signature"),
            HeaderValue::from_static("a=:AQ==:"),
        )]);
        for (pieces, before, after) in [
            (&[][..], "", "\n"),
            (&["data: 1\n\n"], "", "\n"),
            (&["data: 1\n", "\n"], "", "\n"),
            (&["data: 1\r\n\r", "\n"], "", "\n"),
            (&["data: 1\r", "\r"], "", "\n"),
            (&["\n\n", "data: 1\n"], "", ""),
            (&["data: 1\r\n"], "", ""),
            (&["\n\n", "data: 1"], "\n", ""),
        ] {
            let mut tail = EventTail::default();
            for piece in pieces {
                tail.update(piece.as_bytes());
            }
            let expected = format!("{before}: signature a=:AQ==:\n{after}");
            assert_eq!(tail.comment(&fields), expected, "{pieces:?}");
            assert_eq!(tail.line_end(), before.as_bytes(), "{pieces:?}");
            assert!(tail.comment(&HeaderMap::new()).is_empty());
        }
    }

    #[test]
    fn only_plain_events_take_a_comment() {
        for (kind, encoding, takes) in [
            ("text/event-stream", None, true),
            ("Text/Event-Stream; charset=utf-8", None, true),
            ("text/event-stream", Some("gzip"), false),
            ("text/event-streams", None, false),
            ("application/json", None, false),
        ] {
            let mut fields = HeaderMap::new();
            fields.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            if let Some(encoding) = encoding {
                fields.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
            }
            assert_eq!(takes_comment(&fields), takes, "{kind} {encoding:?}");
        }
        assert!(!takes_comment(&HeaderMap::new()));
    }
}
