//! Which responses of an HTTP/2 server came whole. The h2 crate forgets the end of one that is not read yet when the
//! connection ends while our request is still open: a whole early response would look broken off.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::frame::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADER, HEADERS, PADDED, Walk, payload_length,
    stream_of,
};

/// The responses of one connection that are watched.
#[derive(Clone, Default)]
pub(crate) struct ResponseEnds(Arc<Mutex<Watched>>);

/// One of them, watched until this is dropped.
pub(crate) struct WatchedEnd {
    stream: u32,
    of: ResponseEnds,
}

impl ResponseEnds {
    /// Watches a stream of which nothing has come yet.
    pub(crate) fn watch(&self, stream: u32) -> WatchedEnd {
        self.watched().responses.push(Response {
            stream,
            content: Some(0),
            ended: false,
        });
        WatchedEnd {
            stream,
            of: self.clone(),
        }
    }

    /// Bytes that came.
    pub(super) fn received(&self, bytes: &[u8]) {
        self.watched().received(bytes);
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WatchedEnd {
    /// Whether the response has ended with so many bytes of content. What came is not always what the h2 crate has
    /// given out: it leaves frames unread when our writing fails between two of them.
    pub(super) fn is_behind(&self, content: u64) -> bool {
        let watched = self.of.watched();
        let mut responses = watched.responses.iter();
        responses.any(|response| {
            response.stream == self.stream && response.ended && response.content == Some(content)
        })
    }
}

impl Drop for WatchedEnd {
    fn drop(&mut self) {
        let responses = &mut self.of.watched().responses;
        responses.retain(|response| response.stream != self.stream);
    }
}

struct Response {
    stream: u32,
    /// Bytes of content in frames that have begun; `None` if some were padded.
    content: Option<u64>,
    ended: bool,
}

/// What the frames of a server say of the responses that are watched.
#[derive(Default)]
struct Watched {
    walk: Walk,
    /// The stream that ends with the frame under way, or with the head that this one begins.
    ending: Option<u32>,
    is_last: bool,
    responses: Vec<Response>,
}

impl Watched {
    fn received(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if let Some(header) = self.walk.advance(&mut bytes) {
                self.begin(&header);
            }
            if self.is_last && self.walk.is_between() {
                self.is_last = false;
                let ended = self.ending.take();
                let mut responses = self.responses.iter_mut();
                if let Some(response) = responses.find(|watched| Some(watched.stream) == ended) {
                    response.ended = true;
                }
            }
        }
    }

    fn begin(&mut self, header: &[u8; HEADER]) {
        let (kind, flags) = (header[3], header[4]);
        if !matches!(kind, DATA | HEADERS | CONTINUATION) {
            return;
        }
        let stream = stream_of(header);
        let mut responses = self.responses.iter_mut();
        let Some(response) = responses.find(|watched| watched.stream == stream) else {
            return;
        };
        if kind == DATA {
            let length = Some(payload_length(header) as u64).filter(|_| flags & PADDED == 0);
            response.content = response.content.zip(length).map(|(all, now)| all + now);
        }
        // Behind content a head is trailers, and who has read them knows the end.
        let may_end = kind == DATA || kind == HEADERS && response.content == Some(0);
        if may_end && flags & END_STREAM != 0 {
            self.ending = Some(stream);
        }
        let is_whole = kind == DATA || flags & END_HEADERS != 0;
        self.is_last = self.ending == Some(stream) && is_whole;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let head = [0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream];
        [&head, payload].concat()
    }

    /// Every way to cut the bytes: the end is there with the last of them, and not before.
    #[test]
    fn a_response_has_ended_once_its_last_frame_is_whole() {
        let head = frame(HEADERS, END_HEADERS, 1, b"head");
        for (frames, content) in [
            (vec![head.clone(), frame(DATA, END_STREAM, 1, b"four")], 4),
            (
                vec![
                    head.clone(),
                    frame(DATA, 0, 1, b"four"),
                    frame(DATA, END_STREAM, 3, b"another"),
                    frame(DATA, END_STREAM, 1, b""),
                ],
                4,
            ),
            (
                vec![frame(HEADERS, END_HEADERS | END_STREAM, 1, b"head")],
                0,
            ),
            (
                vec![
                    frame(HEADERS, END_STREAM, 1, b"head"),
                    frame(CONTINUATION, END_HEADERS, 1, b"more"),
                ],
                0,
            ),
        ] {
            let bytes = frames.concat();
            for step in 1..=bytes.len() {
                let ends = ResponseEnds::default();
                let watched = ends.watch(1);
                let mut came = 0;
                for piece in bytes.chunks(step) {
                    assert!(!watched.is_behind(content), "{came} of {bytes:?}");
                    ends.received(piece);
                    came += piece.len();
                }
                assert!(watched.is_behind(content), "{step}: {bytes:?}");
                assert!(!watched.is_behind(content + 1));
                drop(watched);
                assert!(ends.watched().responses.is_empty());
            }
        }
    }

    #[test]
    fn an_end_that_is_not_sure_is_none() {
        for last in [
            frame(DATA, 0, 1, b"four"),
            frame(DATA, END_STREAM | PADDED, 1, b"\x01fou\x00"),
            [
                frame(DATA, 0, 1, b"four"),
                frame(HEADERS, END_HEADERS | END_STREAM, 1, b"trailers"),
            ]
            .concat(),
            frame(DATA, END_STREAM, 3, b"four"),
        ] {
            let ends = ResponseEnds::default();
            let watched = ends.watch(1);
            ends.received(&frame(HEADERS, END_HEADERS, 1, b"head"));
            ends.received(&last);
            for content in 0..8 {
                assert!(!watched.is_behind(content), "{last:?}");
            }
        }
    }
}
