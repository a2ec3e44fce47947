//! Request heads as they come: the h2 crate does not tell of one before its end, keeps it for as long as its client
//! likes, and reads as many as the socket has before a stream of them gets its turn.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::frame::{
    CONTINUATION, END_HEADERS, HEADER, HEADERS, PREFACE, Walk, payload_length, stream_of,
};
use super::stream::USUAL_HEAD;

/// Bytes of heads and trailers that are read in one turn: their fields may take a hundred times as much (a field of
/// the table is one byte) until their streams have looked at them.
const HEADS_OF_A_TURN: usize = 16 * 1024;
/// Large heads that are remembered until their streams are given to us; as many fit into a turn.
const MOST_LARGE: usize = HEADS_OF_A_TURN / USUAL_HEAD * 2;

/// Walks over the frames of a client.
pub(super) struct OpenHead {
    walk: Walk,
    /// The frame under way is the last of a head.
    is_last: bool,
    /// Heads that have begun.
    begun: u32,
    is_open: bool,
    number: Arc<AtomicU32>,
    /// Bytes of heads and trailers in this turn.
    turn: usize,
    /// The head under way: its stream, and bytes of it.
    stream: u32,
    block: usize,
    /// The newest stream whose head came: what comes of an older one are its trailers.
    newest: u32,
    /// Heads of more than [`USUAL_HEAD`] bytes: their streams, and how many.
    large: VecDeque<(u32, usize)>,
}

impl OpenHead {
    pub(super) fn new() -> Self {
        Self {
            walk: Walk::behind(PREFACE.len()),
            is_last: false,
            begun: 0,
            is_open: false,
            number: Arc::default(),
            turn: 0,
            stream: 0,
            block: 0,
            newest: 0,
            large: VecDeque::new(),
        }
    }

    /// Another turn begins.
    pub(super) fn turn(&mut self) {
        self.turn = 0;
    }

    /// Whether as much came in this turn as is looked at before more is read.
    pub(super) fn has_enough(&self) -> bool {
        self.turn >= HEADS_OF_A_TURN
    }

    /// Bytes that the head of this stream came as, if it is a large one. Streams are asked for in their order.
    pub(super) fn size_of(&mut self, stream: u32) -> usize {
        let mut size = 0;
        while let Some((of, bytes)) = self.large.pop_front_if(|(of, _)| *of <= stream) {
            size = if of == stream { bytes } else { 0 };
        }
        size
    }

    /// The number of the head that is open; zero if none is.
    pub(super) fn number(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.number)
    }

    /// Bytes that came.
    pub(super) fn received(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if let Some(header) = self.walk.advance(&mut bytes) {
                self.begin(&header);
            }
            if self.is_last && self.walk.is_between() {
                self.is_last = false;
                self.is_open = false;
                self.end();
            }
        }
        let number = if self.is_open { self.begun } else { 0 };
        self.number.store(number, Ordering::Relaxed);
    }

    fn begin(&mut self, header: &[u8; HEADER]) {
        let (kind, flags, length) = (header[3], header[4], payload_length(header));
        if kind == HEADERS {
            self.begun = self.begun.wrapping_add(1).max(1);
            self.is_open = true;
            self.stream = stream_of(header);
            self.block = 0;
        }
        if matches!(kind, HEADERS | CONTINUATION) {
            self.turn += length;
            self.block += length;
        }
        self.is_last = matches!(kind, HEADERS | CONTINUATION) && flags & END_HEADERS != 0;
    }
}

impl OpenHead {
    /// A head, or trailers, came to the end.
    fn end(&mut self) {
        let is_head = self.stream > self.newest;
        self.newest = self.newest.max(self.stream);
        if is_head && self.block > USUAL_HEAD && self.large.len() < MOST_LARGE {
            self.large.push_back((self.stream, self.block));
        }
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
    fn large_heads_are_known_to_their_streams_and_fill_a_turn() {
        let of = |stream: u8, kind, flags, size| {
            let mut frame = frame(kind, flags, &vec![0; size]);
            frame[1] = (size >> 8) as u8;
            frame[8] = stream;
            frame
        };
        let mut head = OpenHead::new();
        head.received(PREFACE);
        head.received(&of(1, HEADERS, END_HEADERS, 100));
        head.received(&of(3, HEADERS, 0, 4000));
        head.received(&of(3, CONTINUATION, END_HEADERS, 1000));
        // Its trailers, which no stream asks for.
        head.received(&of(3, HEADERS, END_HEADERS, 5000));
        head.received(&of(5, HEADERS, END_HEADERS, 4500));
        assert!(!head.has_enough());
        assert_eq!([1, 5].map(|stream| head.size_of(stream)), [0, 4500]);
        head.received(&of(7, HEADERS, 0, 2000));
        assert!(head.has_enough());
        head.turn();
        assert!(!head.has_enough());
        head.received(&of(7, CONTINUATION, END_HEADERS, 2500));
        assert_eq!([7, 9].map(|stream| head.size_of(stream)), [4500, 0]);
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
