//! The session that rustls hands over to be sealed (`ServerSessionValue`), as far as its certificates go.
//!
//! Its form is rustls's own, so it is read to its end and refused if anything is left or missing: then
//! no ticket is made, and a test of resumption fails.

const TLS13: u16 = 0x0304;

/// A session, its certificates apart.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Session<'a> {
    before: &'a [u8],
    pub(super) certificates: Vec<&'a [u8]>,
    after: &'a [u8],
}

impl<'a> Session<'a> {
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        let mut reader = Reader { rest: text };
        // Server name, version, cipher suite, secret, extended master secret.
        reader.optional(Reader::vector8)?;
        if reader.number(2)? != TLS13 as usize {
            return None;
        }
        reader.take(2)?;
        reader.vector8()?;
        reader.take(1)?;
        let before = text.get(..text.len() - reader.rest.len())?;
        let chain = reader.optional(Reader::vector24)?;
        let after = reader.rest;
        // Protocol, application data, time of creation, offset of its age.
        reader.optional(Reader::vector8)?;
        reader.vector16()?;
        reader.take(8 + 4)?;
        if !reader.rest.is_empty() {
            return None;
        }
        let mut certificates = Vec::new();
        let mut chain = Reader { rest: chain };
        while !chain.rest.is_empty() {
            certificates.push(chain.vector24()?);
        }
        Some(Self {
            before,
            certificates,
            after,
        })
    }

    /// The session as rustls writes it, with these certificates instead of its own.
    pub(super) fn with_certificate(&self, certificate: Option<&[u8]>) -> Option<Vec<u8>> {
        let length = certificate.map_or(0, <[u8]>::len);
        let mut text = Vec::with_capacity(self.before.len() + 7 + length + self.after.len());
        text.extend_from_slice(self.before);
        text.push(u8::from(certificate.is_some()));
        if let Some(certificate) = certificate {
            text.extend_from_slice(&number24(length + 3)?);
            text.extend_from_slice(&number24(length)?);
            text.extend_from_slice(certificate);
        }
        text.extend_from_slice(self.after);
        Some(text)
    }
}

fn number24(number: usize) -> Option<[u8; 3]> {
    match u32::try_from(number).ok()?.to_be_bytes() {
        [0, a, b, c] => Some([a, b, c]),
        _ => None,
    }
}

/// Reads from the front of a text; every method is `None` where the text ends too early.
pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn number(&mut self, bytes: usize) -> Option<usize> {
        let bytes = self.take(bytes)?.iter();
        Some(bytes.fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let length = self.number(1)?;
        self.take(length)
    }

    pub(super) fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = self.number(2)?;
        self.take(length)
    }

    fn vector24(&mut self) -> Option<&'a [u8]> {
        let length = self.number(3)?;
        self.take(length)
    }

    /// A byte that says whether something follows, and that, or nothing.
    fn optional(&mut self, read: impl FnOnce(&mut Self) -> Option<&'a [u8]>) -> Option<&'a [u8]> {
        match self.number(1)? {
            0 => Some(&[]),
            1 => read(self),
            _ => None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A session as rustls writes it; `chain` with the byte before it.
    pub(in crate::tls::tickets) fn text(chain: &[u8]) -> Vec<u8> {
        let name = [&[1, 9][..], b"localhost"].concat();
        let secret = [&[3, 4, 0x13, 1, 32][..], &[7; 32], &[0]].concat();
        let rest = [&[1, 2][..], b"h2", &[0, 0], &[5; 12]].concat();
        [&name[..], &secret, chain, &rest].concat()
    }

    #[test]
    fn certificates_are_taken_out_and_put_back() {
        let none = text(&[0]);
        let two = text(&[1, 0, 0, 9, 0, 0, 2, 8, 9, 0, 0, 1, 6]);
        let session = Session::parse(&two).unwrap();
        assert_eq!(session.certificates, [&[8, 9][..], &[6]]);
        assert_eq!(session.with_certificate(None).unwrap(), none);
        let one = text(&[1, 0, 0, 5, 0, 0, 2, 8, 9]);
        assert_eq!(session.with_certificate(Some(&[8, 9])).unwrap(), one);
        let session = Session::parse(&none).unwrap();
        assert!(session.certificates.is_empty());
        assert_eq!(session.with_certificate(Some(&[8, 9])).unwrap(), one);
    }

    #[test]
    fn what_is_cut_short_or_too_long_is_no_session() {
        let whole = text(&[1, 0, 0, 9, 0, 0, 2, 8, 9, 0, 0, 1, 6]);
        for length in 0..whole.len() {
            assert_eq!(Session::parse(&whole[..length]), None, "{length}");
        }
        assert_eq!(Session::parse(&[&whole[..], &[0]].concat()), None);
        let mut older = whole.clone();
        older[12] = 3;
        assert_eq!(Session::parse(&older), None);
        let mut cut = text(&[1, 0, 0, 5, 0, 0, 9, 8, 9]);
        assert_eq!(Session::parse(&cut), None);
        cut[0] = 2;
        assert_eq!(Session::parse(&cut), None);
    }
}
