//! The ClientHello as a message: joined out of its records, and its fields in their order (RFC 8446 §4.1.2).

use std::borrow::Cow;

use crate::tls::record::HANDSHAKE;

pub(super) const CLIENT_HELLO: u8 = 1;
pub(super) const EXT_SERVER_NAME: u16 = 0;
pub(super) const EXT_SUPPORTED_GROUPS: u16 = 10;
pub(super) const EXT_KEY_SHARE: u16 = 51;

/// The fields that somebody looks at.
pub(super) struct ClientHello<'a> {
    pub(super) legacy_version: u16,
    /// The list of cipher suites.
    pub(super) suites: &'a [u8],
    pub(super) extensions: Cursor<'a>,
}

impl<'a> ClientHello<'a> {
    /// Reads a handshake message.
    pub(super) fn parse(message: &'a [u8]) -> Option<Self> {
        let mut hello = Cursor(message);
        let (CLIENT_HELLO, length) = hello.header()? else {
            return None;
        };
        let mut body = Cursor(hello.take(length)?);
        let legacy_version = body.u16()?;
        body.take(32)?; // random
        body.vector8()?; // legacy_session_id
        let suites = body.vector16()?;
        body.vector8()?; // legacy_compression_methods
        Some(Self {
            legacy_version,
            suites,
            extensions: body.vector16().map(Cursor)?,
        })
    }
}

/// The handshake message in records: as it stands there if it is in one, else joined out of its fragments;
/// none of them may be empty (RFC 8446 §5.1).
pub(super) fn handshake_bytes(records: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut rest = Cursor(records);
    let first = fragment(&mut rest)?;
    if rest.is_empty() {
        return Some(Cow::Borrowed(first));
    }
    let mut message = Vec::with_capacity(records.len());
    message.extend_from_slice(first);
    while !rest.is_empty() {
        message.extend_from_slice(fragment(&mut rest)?);
    }
    Some(Cow::Owned(message))
}

fn fragment<'a>(records: &mut Cursor<'a>) -> Option<&'a [u8]> {
    if records.u8()? != HANDSHAKE {
        return None;
    }
    records.take(2)?;
    records.vector16().filter(|fragment| !fragment.is_empty())
}

/// Reads big-endian fields; `None` once the bytes run out.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    /// Type and length of a handshake message (RFC 8446 §4).
    pub(super) fn header(&mut self) -> Option<(u8, usize)> {
        let header = self.take(4)?;
        let length = [0, header[1], header[2], header[3]];
        Some((header[0], u32::from_be_bytes(length) as usize))
    }

    pub(super) fn vector8(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.u8()?);
        self.take(length)
    }

    pub(super) fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.u16()?);
        self.take(length)
    }
}
