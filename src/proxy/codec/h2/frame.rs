//! The parts of a frame header (RFC 9113 §4.1) that are read beside the h2 crate, and a walk from one to the next.

/// What a client begins with (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame header.
pub(super) const HEADER: usize = 9;
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const CONTINUATION: u8 = 9;
/// The flag of the last frame of a stream.
pub(super) const END_STREAM: u8 = 1;
/// The flag of the last frame of a head.
pub(super) const END_HEADERS: u8 = 4;
/// The flag of a frame with bytes that mean nothing.
pub(super) const PADDED: u8 = 8;
/// The flag of a SETTINGS frame that acknowledges another.
pub(super) const ACK: u8 = 1;

/// Bytes of the payload behind a whole header.
pub(super) fn payload_length(header: &[u8]) -> usize {
    usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2])
}

/// The stream that a frame with this whole header belongs to.
pub(super) fn stream_of(header: &[u8]) -> u32 {
    u32::from_be_bytes([header[5], header[6], header[7], header[8]]) & 0x7fff_ffff
}

/// Whether a frame with this whole header acknowledges settings.
pub(super) fn acknowledges(header: &[u8]) -> bool {
    header[3] == SETTINGS && header[4] & ACK != 0
}

/// Walks over frames that come in pieces of any size.
#[derive(Default)]
pub(super) struct Walk {
    /// Bytes of the frame under way that are still to come.
    skip: usize,
    /// The beginning of a frame whose header is not whole yet.
    header: [u8; HEADER],
    filled: usize,
}

impl Walk {
    /// Frames that begin behind so many other bytes.
    pub(super) fn behind(skip: usize) -> Self {
        Self {
            skip,
            ..Self::default()
        }
    }

    /// Goes on to the end of a header, of a frame or of `bytes`, whichever comes first, and leaves in `bytes` what is
    /// behind it. A header that is whole now.
    pub(super) fn advance(&mut self, bytes: &mut &[u8]) -> Option<[u8; HEADER]> {
        if self.skip > 0 {
            let count = self.skip.min(bytes.len());
            self.skip -= count;
            *bytes = &bytes[count..];
            return None;
        }
        let room = &mut self.header[self.filled..];
        let count = room.len().min(bytes.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.filled += count;
        *bytes = &bytes[count..];
        if self.filled < HEADER {
            return None;
        }
        self.filled = 0;
        self.skip = payload_length(&self.header);
        Some(self.header)
    }

    /// Whether the frame that began last is over, and no other has begun.
    pub(super) fn is_between(&self) -> bool {
        self.skip == 0 && self.filled == 0
    }
}
