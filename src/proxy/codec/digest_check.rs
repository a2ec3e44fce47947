//! A body that is forwarded while its digest is computed, its last piece held back until the digest is
//! right: nobody sees a whole body that is not the one signed.

use std::task::{Poll, ready};

use bytes::Bytes;
use http::HeaderMap;

use crate::proxy::codec::message::{Frame, FramingError, MessageError};
use crate::signature::BodyDigest;

/// Trailers are not signed, and an app must not take these for what was verified.
const UNSIGNED: [&str; 3] = ["content-digest", "signature", "signature-input"];

/// What is known of the body so far.
pub(crate) struct DigestCheck {
    /// Gone once it was compared.
    running: Option<BodyDigest>,
    held: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl DigestCheck {
    pub(crate) fn new(digest: BodyDigest) -> Self {
        Self {
            running: Some(digest),
            held: None,
            trailers: None,
        }
    }

    /// Whether nothing is held back any more.
    pub(crate) fn is_done(&self) -> bool {
        self.running.is_none() && self.held.is_none() && self.trailers.is_none()
    }

    /// The next piece that may be forwarded; `next` reads the body.
    pub(crate) fn poll_frame(
        &mut self,
        mut next: impl FnMut() -> Poll<Result<Option<Frame>, MessageError>>,
    ) -> Poll<Result<Option<Frame>, MessageError>> {
        while self.running.is_some() {
            match ready!(next())? {
                Some(Frame::Data(piece)) => {
                    if piece.is_empty() {
                        continue;
                    }
                    if let Some(running) = &mut self.running {
                        running.update(&piece);
                    }
                    if let Some(before) = self.held.replace(piece) {
                        return Poll::Ready(Ok(Some(Frame::Data(before))));
                    }
                }
                end => {
                    if let Some(Frame::Trailers(mut trailers)) = end {
                        for name in UNSIGNED {
                            trailers.remove(name);
                        }
                        self.trailers = Some(trailers);
                    }
                    if !self.running.take().is_some_and(BodyDigest::matches) {
                        self.held = None;
                        self.trailers = None;
                        return Poll::Ready(Err(FramingError::Digest.into()));
                    }
                }
            }
        }
        let held = self.held.take().map(Frame::Data);
        let frame = held.or_else(|| self.trailers.take().map(Frame::Trailers));
        Poll::Ready(Ok(frame))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn trailers_that_would_speak_of_signatures_are_dropped() {
        // SHA-256 of nothing (RFC 9530, B.7 names it too).
        let nothing = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
        let mut check = DigestCheck::new(BodyDigest::announced(nothing).unwrap());
        let mut trailers = HeaderMap::new();
        for name in ["signature", "signature-input", "content-digest", "x-sum"] {
            trailers.insert(name, http::HeaderValue::from_static("1"));
        }
        let mut frames = vec![Frame::Trailers(trailers)];
        let Poll::Ready(Ok(Some(Frame::Trailers(left)))) =
            check.poll_frame(|| Poll::Ready(Ok(frames.pop())))
        else {
            panic!("no trailers");
        };
        let left: Vec<_> = left.keys().map(http::HeaderName::as_str).collect();
        assert_eq!(left, ["x-sum"]);
    }
}
