//! Finds the end of a head and refuses what parsers disagree about (RFC 9112 §2.2 and §11.2).

use memchr::memchr3;

use crate::proxy::codec::h1::head_error::HeadError;

/// Where the search for the end of a head stands.
#[derive(Debug, Default)]
pub(crate) struct HeadScan {
    /// Bytes already looked at.
    seen: usize,
    /// Start of the line under way.
    line: usize,
    /// A blank line ends it even as the first.
    trailers: bool,
}

impl HeadScan {
    /// The search for the end of a trailer section, which may be empty.
    pub(crate) fn in_trailers() -> Self {
        Self {
            trailers: true,
            ..Self::default()
        }
    }

    /// Looks at what is new in `buf`; the head's length, blank line included, once it is whole.
    ///
    /// A line feed without a carriage return, a carriage return without a line feed, and NUL are
    /// refused as soon as they are seen, not when the head is whole.
    pub(crate) fn advance(&mut self, buf: &[u8], limit: usize) -> Result<Option<usize>, HeadError> {
        while let Some(found) = memchr3(b'\n', b'\r', 0, &buf[self.seen..]) {
            let at = self.seen + found;
            match buf[at] {
                b'\r' => match buf.get(at + 1) {
                    Some(b'\n') => {}
                    Some(_) => return Err(HeadError::BareCarriageReturn),
                    None => {
                        self.seen = at;
                        return limited(buf, limit);
                    }
                },
                b'\n' => return Err(HeadError::BareLineFeed),
                _ => return Err(HeadError::Nul),
            }
            let empty = at == self.line;
            let first = self.line == 0 && !self.trailers;
            self.seen = at + 2;
            self.line = at + 2;
            // A blank line before the request line is skipped (RFC 9112 §2.2).
            if empty && !first {
                return if self.line > limit {
                    Err(HeadError::TooLarge)
                } else {
                    Ok(Some(self.line))
                };
            }
        }
        self.seen = buf.len();
        limited(buf, limit)
    }
}

fn limited(buf: &[u8], limit: usize) -> Result<Option<usize>, HeadError> {
    if buf.len() > limit {
        return Err(HeadError::TooLarge);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(bytes: &[u8]) -> Result<Option<usize>, HeadError> {
        HeadScan::default().advance(bytes, 1024)
    }

    #[test]
    fn a_head_ends_at_its_blank_line_however_it_arrives() {
        let whole = b"GET / HTTP/1.1\r\nhost: a\r\n\r\nbody";
        assert_eq!(scan(whole), Ok(Some(whole.len() - 4)));
        let mut bytewise = HeadScan::default();
        for end in 0..whole.len() - 4 {
            assert_eq!(bytewise.advance(&whole[..end], 1024), Ok(None));
        }
        assert_eq!(
            bytewise.advance(&whole[..whole.len() - 4], 1024),
            Ok(Some(whole.len() - 4))
        );
    }

    #[test]
    fn bytes_that_parsers_disagree_about_are_refused_at_once() {
        assert_eq!(scan(b"GET / HTTP/1.1\nhost"), Err(HeadError::BareLineFeed));
        assert_eq!(scan(b"GET /\rx"), Err(HeadError::BareCarriageReturn));
        assert_eq!(scan(b"GET /\0"), Err(HeadError::Nul));
    }

    #[test]
    fn a_leading_blank_line_is_skipped() {
        assert_eq!(scan(b"\r\nGET / HTTP/1.1\r\n\r\n"), Ok(Some(20)));
    }

    #[test]
    fn a_head_over_the_limit_is_too_large_whole_or_not() {
        let mut scan = HeadScan::default();
        assert_eq!(scan.advance(&[b'a'; 2000], 1024), Err(HeadError::TooLarge));
    }
}
