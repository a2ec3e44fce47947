//! A request head that has begun and is not complete: the h2 crate does not tell of one before its end, and
//! keeps it for as long as its client likes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::frame::{CONTINUATION, END_HEADERS, HEADER, HEADERS, PREFACE, payload_length};

/// Walks over the frames of a client.
pub(super) struct OpenHead {
    /// Bytes of the preface, or of the frame under way, that are still to come.
    skip: usize,
    /// The beginning of a frame whose header is not whole yet.
    header: [u8; HEADER],
    filled: usize,
    /// The frame under way is the last of a head.
    is_last: bool,
    /// Heads that have begun.
    begun: u32,
    is_open: bool,
    number: Arc<AtomicU32>,
}

impl OpenHead {
    pub(super) fn new() -> Self {
        Self {
            skip: PREFACE.len(),
            header: [0; HEADER],
            filled: 0,
            is_last: false,
            begun: 0,
            is_open: false,
            number: Arc::default(),
        }
    }

    /// The number of the head that is open; zero if none is.
    pub(super) fn number(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.number)
    }

    /// Bytes that came.
    pub(super) fn received(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let count = if self.skip > 0 {
                let count = self.skip.min(bytes.len());
                self.skip -= count;
                count
            } else {
                let room = &mut self.header[self.filled..];
                let count = room.len().min(bytes.len());
                room[..count].copy_from_slice(&bytes[..count]);
                self.filled += count;
                if self.filled == HEADER {
                    self.begin();
                }
                count
            };
            bytes = &bytes[count..];
            if self.skip == 0 && self.is_last {
                self.is_last = false;
                self.is_open = false;
            }
        }
        let number = if self.is_open { self.begun } else { 0 };
        self.number.store(number, Ordering::Relaxed);
    }

    /// A frame whose header is whole.
    fn begin(&mut self) {
        let (kind, flags) = (self.header[3], self.header[4]);
        self.skip = payload_length(&self.header);
        self.filled = 0;
        if kind == HEADERS {
            self.begun = self.begun.wrapping_add(1).max(1);
            self.is_open = true;
        }
        self.is_last = matches!(kind, HEADERS | CONTINUATION) && flags & END_HEADERS != 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let head = [0, 0, payload.len() as u8, kind, flags, 0, 0, 0, 1];
        [&head, payload].concat()
    }

    #[test]
    fn a_head_is_open_from_its_first_byte_to_its_last_however_they_come() {
        let whole = frame(HEADERS, END_HEADERS, b"abc");
        let parts = [
            frame(HEADERS, 0, b"abc"),
            frame(CONTINUATION, 0, b""),
            frame(CONTINUATION, END_HEADERS, b""),
        ];
        // DATA, whose flag of this value says that it is padded or nothing.
        let data = frame(0, END_HEADERS, b"12345");
        let bytes = [PREFACE, &data, &whole, &data, &parts.concat(), &data].concat();
        let first = PREFACE.len() + data.len()..PREFACE.len() + data.len() + whole.len();
        let second = first.end + data.len()..first.end + data.len() + parts.concat().len();
        for step in 1..=bytes.len() {
            let mut head = OpenHead::new();
            let mut at = 0;
            for piece in bytes.chunks(step) {
                head.received(piece);
                at += piece.len();
                // Open once the header of its first frame is whole.
                let open = |range: &std::ops::Range<usize>| {
                    (range.start + HEADER..range.end).contains(&at)
                };
                let expected = match (open(&first), open(&second)) {
                    (true, _) => 1,
                    (_, true) => 2,
                    _ => 0,
                };
                let number = head.number.load(Ordering::Relaxed);
                assert_eq!(number, expected, "{at} by {step}");
            }
        }
    }
}
