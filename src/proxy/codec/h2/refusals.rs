//! Requests that the h2 crate refuses by itself, before we hear of them: found among the frames it
//! sends, so that each is counted and logged as over HTTP/1.1, and a malformed one gets its 400.
//!
//! The crate resets a malformed request without a response (RFC 9113 §8.1.1 allows one). A head that is
//! too large gets 431, and behind it a reset that says PROTOCOL_ERROR: many clients drop a response for
//! that, so it says NO_ERROR here (RFC 9113 §8.1).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use bytes::BytesMut;

use super::client_settings::ClientSettings;
use super::frame::{self, HEADERS, RST_STREAM, acknowledges, payload_length, stream_of};
use super::open_head::OpenHead;

const PROTOCOL_ERROR: [u8; 4] = [0, 0, 0, 1];
const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];
const NO_ERROR: [u8; 4] = [0; 4];
/// END_STREAM and END_HEADERS.
const WHOLE: u8 = 5;
/// Skipped stream identifiers that are remembered, as ranges.
const MAX_GAPS: usize = 64;

/// A response head for HPACK (RFC 7541) that does not touch the encoder's dynamic table: `:status` 400
/// and `content-length` by the static table, `server-timing` as a literal.
const BAD_REQUEST: &[u8] =
    b"\x8c\x0f\x0d\x010\x00\x0dserver-timing\x1bhybridge;desc=\"bad_request\"";

/// What the h2 crate refused a request for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    Malformed,
    HeadTooLarge,
    /// More streams at once than the client was allowed: it may send the request again (RFC 9113 §5.1.2).
    TooManyStreams,
}

/// Looks at every frame that leaves.
pub(crate) struct Refusals {
    /// Bytes of the frame under way that are still to come.
    skip: usize,
    /// The beginning of a frame that is not whole yet.
    begun: Vec<u8>,
    /// The newest stream that we were given, and those before it that we were not.
    last: u32,
    gaps: Vec<(u32, u32)>,
    /// The last malformed requests that were reset before we were given them.
    refused: VecDeque<u32>,
    /// The newest stream that the crate itself responded to.
    responded: u32,
    settings: ClientSettings,
    open_head: OpenHead,
    /// Settings of the client that took effect.
    acknowledged: usize,
    tell: Box<dyn FnMut(Refused) + Send>,
}

impl Refusals {
    /// `tell` hears of each request that was refused.
    pub(crate) fn new(tell: impl FnMut(Refused) + Send + 'static) -> Self {
        Self {
            skip: 0,
            begun: Vec::new(),
            last: 0,
            gaps: Vec::new(),
            refused: VecDeque::new(),
            responded: 0,
            settings: ClientSettings::default(),
            open_head: OpenHead::new(),
            acknowledged: 0,
            tell: Box::new(tell),
        }
    }

    /// Bytes of the client.
    pub(crate) fn received(&mut self, bytes: &[u8]) {
        self.settings.received(bytes);
        self.open_head.received(bytes);
    }

    /// The number of the request head that has begun and is not complete; zero if none is.
    pub(crate) fn open_head(&self) -> Arc<AtomicU32> {
        self.open_head.number()
    }

    /// What is read of request heads, turn by turn.
    pub(super) fn heads(&mut self) -> &mut OpenHead {
        &mut self.open_head
    }

    /// Whether a header block of ours needs nothing before it: not when the client has chosen another
    /// size of the table, or may have since (RFC 7541 §4.2).
    fn may_respond(&self) -> bool {
        self.acknowledged < 2 && self.settings.allows_plain_blocks()
    }

    /// We were given this stream. They come in their order, so what it leaves out never comes. Whether it
    /// is to be served: content that broke its length may have come with the head.
    #[must_use]
    pub(crate) fn accepted(&mut self, stream: u32) -> bool {
        if stream > self.last + 2 {
            if self.gaps.len() == MAX_GAPS {
                self.gaps.remove(0);
            }
            self.gaps.push((self.last + 1, stream - 1));
        }
        self.last = stream;
        !self.refused.contains(&stream)
    }

    fn was_accepted(&self, stream: u32) -> bool {
        let in_gap = |(from, to): &(u32, u32)| (*from..=*to).contains(&stream);
        stream <= self.last && !self.gaps.iter().any(in_gap)
    }

    /// Whether something may have to be put between these bytes, which come next, or changed in them.
    pub(crate) fn wants_more(&self, bytes: &[u8]) -> bool {
        self.usual(bytes).is_none()
    }

    /// Copies what comes next, with a response before each reset of a malformed request.
    pub(crate) fn copy(&mut self, bytes: &[u8], out: &mut BytesMut) {
        if self.pass_usual(bytes) {
            return out.extend_from_slice(bytes);
        }
        let mut resets = Vec::new();
        let mut responded = self.responded;
        self.walk(bytes, |at, frame| {
            let stream = stream_of(frame);
            if frame[3] == HEADERS && !self.was_accepted(stream) {
                responded = stream;
            }
            if self.is_bare_reset(frame, PROTOCOL_ERROR) {
                resets.push((at, stream, stream == responded));
            }
        });
        let mut copied = 0;
        for (at, stream, has_response) in resets {
            out.extend_from_slice(&bytes[copied..at]);
            copied = at;
            if has_response {
                out.extend_from_slice(&bytes[at..at + frame::HEADER]);
                out.extend_from_slice(&NO_ERROR);
                copied = at + frame::HEADER + NO_ERROR.len();
                continue;
            }
            if self.may_respond() {
                out.extend_from_slice(&[0, 0, BAD_REQUEST.len() as u8, HEADERS, WHOLE]);
                out.extend_from_slice(&stream.to_be_bytes());
                out.extend_from_slice(BAD_REQUEST);
            }
            if self.refused.len() == MAX_GAPS {
                self.refused.pop_front();
            }
            self.refused.push_back(stream);
            (self.tell)(Refused::Malformed);
        }
        out.extend_from_slice(&bytes[copied..]);
        self.pass(bytes);
    }

    /// These bytes have left.
    pub(crate) fn advance(&mut self, bytes: &[u8]) {
        if !self.pass_usual(bytes) {
            self.pass(bytes);
        }
    }

    /// What is to be skipped behind these bytes if they begin with whole frame headers, and none of them
    /// is a reset or heads a response to a stream that we were not given: nearly always. And how many
    /// acknowledge settings of the client.
    fn usual(&self, bytes: &[u8]) -> Option<(usize, usize)> {
        if !self.begun.is_empty() {
            return None;
        }
        let (mut at, mut acknowledged) = (self.skip, 0);
        while at < bytes.len() {
            let header: &[u8; frame::HEADER] = bytes.get(at..)?.first_chunk()?;
            let usual = match header[3] {
                RST_STREAM => false,
                HEADERS => self.was_accepted(stream_of(header)),
                _ => true,
            };
            acknowledged += usize::from(acknowledges(header));
            if !usual {
                return None;
            }
            at += frame::HEADER + payload_length(header);
        }
        Some((at - bytes.len(), acknowledged))
    }

    /// Passes over bytes in which there is nothing to see; whether they are such.
    fn pass_usual(&mut self, bytes: &[u8]) -> bool {
        let usual = self.usual(bytes);
        if let Some((skip, acknowledged)) = usual {
            self.skip = skip;
            self.acknowledged += acknowledged;
        }
        usual.is_some()
    }

    /// Passes over any bytes, and tells of each head that was too large, and of each stream that was too many.
    fn pass(&mut self, bytes: &[u8]) {
        let (mut told, mut acknowledged, mut responded) = (Vec::new(), 0, self.responded);
        let (skip, rest) = self.walk(bytes, |_, frame| {
            if frame[3] == HEADERS && !self.was_accepted(stream_of(frame)) {
                told.push(Refused::HeadTooLarge);
                responded = stream_of(frame);
            }
            if self.is_bare_reset(frame, REFUSED_STREAM) {
                told.push(Refused::TooManyStreams);
            }
            acknowledged += usize::from(acknowledges(frame));
        });
        self.responded = responded;
        self.acknowledged += acknowledged;
        match rest {
            Some(from) => {
                if from > 0 || self.skip > 0 {
                    self.begun.clear();
                }
                self.begun.extend_from_slice(&bytes[from..]);
            }
            None => self.begun.clear(),
        }
        self.skip = skip;
        told.into_iter().for_each(&mut self.tell);
    }

    /// Calls `see` with each frame that begins in `bytes`, and where: its header and what of its
    /// payload is there. What is still to be skipped afterwards, and where a header begins that is
    /// not whole.
    fn walk(&self, bytes: &[u8], mut see: impl FnMut(usize, &[u8])) -> (usize, Option<usize>) {
        let mut at = self.skip.min(bytes.len());
        let mut skip = self.skip - at;
        if !self.begun.is_empty() {
            let missing = frame::HEADER - self.begun.len();
            let Some(rest) = bytes.get(..missing) else {
                return (0, Some(0));
            };
            let header = [&self.begun[..], rest].concat();
            see(0, &header);
            let length = payload_length(&header);
            at = missing + length.min(bytes.len() - missing);
            skip = missing + length - at;
        }
        while at < bytes.len() {
            let frame = &bytes[at..];
            if frame.len() < frame::HEADER {
                return (0, Some(at));
            }
            see(at, frame);
            let length = frame::HEADER + payload_length(frame);
            skip = length.saturating_sub(frame.len());
            at += length.min(frame.len());
        }
        (skip, None)
    }

    fn is_bare_reset(&self, frame: &[u8], reason: [u8; 4]) -> bool {
        frame[3] == RST_STREAM
            && frame.get(frame::HEADER..frame::HEADER + 4) == Some(&reason[..])
            && !self.was_accepted(stream_of(frame))
    }
}

#[cfg(test)]
mod tests;
