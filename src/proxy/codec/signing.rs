//! A response that is signed on its way: as a whole that was read before, or piece by piece with the
//! signatures behind it, as trailers or as a comment.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;

use crate::proxy::codec::event_comment::EventTail;
use crate::proxy::codec::h2::unsent::Charge;
use crate::proxy::codec::message::{Frame, MessageError, MessageStream, Outgoing, Readiness};
use crate::signature::{ContentDigest, Draft, Receipt};

/// The upstream's side of an exchange whose response is signed.
pub(crate) struct Signing<'a, U> {
    up: &'a mut U,
    state: State,
}

enum State {
    /// What was read before the head went out, and what it is charged for until it is taken.
    Whole(Option<Bytes>, Option<HeaderMap>, Option<Charge>),
    /// As it comes.
    Unsigned,
    Passing(Box<Passing>),
    Ended,
}

struct Passing {
    draft: Draft,
    digest: ContentDigest,
    /// Of events, whose signatures are a comment.
    events: Option<EventTail>,
}

impl<'a, U: MessageStream> Signing<'a, U> {
    /// The whole body and what followed it; the signatures are in the head.
    pub(crate) fn whole(
        up: &'a mut U,
        body: Bytes,
        trailers: Option<HeaderMap>,
        charge: Option<Charge>,
    ) -> Self {
        let body = Some(body).filter(|body| !body.is_empty());
        let state = State::Whole(body, trailers, charge);
        Self { up, state }
    }

    /// A body whose client cannot be given signatures.
    pub(crate) fn unsigned(up: &'a mut U) -> Self {
        let state = State::Unsigned;
        Self { up, state }
    }

    /// A body that passes, with its signatures behind it as trailers.
    pub(crate) fn passing(up: &'a mut U, draft: Draft) -> Self {
        Self::signed_behind(up, draft, None)
    }

    /// Server-sent events that pass, with their signatures behind them as a comment.
    pub(crate) fn events(up: &'a mut U, draft: Draft) -> Self {
        Self::signed_behind(up, draft, Some(EventTail::default()))
    }

    fn signed_behind(up: &'a mut U, draft: Draft, events: Option<EventTail>) -> Self {
        let digest = ContentDigest::new();
        let state = State::Passing(Box::new(Passing {
            draft,
            digest,
            events,
        }));
        Self { up, state }
    }

    /// What follows the body, whose own trailers are given.
    fn end(&mut self, mut trailers: HeaderMap) -> Option<Frame> {
        let State::Passing(passing) = std::mem::replace(&mut self.state, State::Ended) else {
            return None;
        };
        let Passing {
            draft,
            mut digest,
            events,
        } = *passing;
        Receipt::strip(&mut trailers);
        let Some(events) = events else {
            for (name, value) in draft.sign(Some(digest), true) {
                if let Some(name) = name {
                    trailers.insert(name, value);
                }
            }
            return Some(Frame::Trailers(trailers));
        };
        digest.update(events.line_end());
        let comment = events.comment(&draft.sign(Some(digest), true));
        let trailers = Some(trailers).filter(|trailers| !trailers.is_empty());
        if comment.is_empty() {
            return trailers.map(Frame::Trailers);
        }
        self.state = State::Whole(None, trailers, None);
        Some(Frame::Data(comment))
    }
}

impl<U: MessageStream> MessageStream for Signing<'_, U> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, MessageError>> {
        let trailers = match &mut self.state {
            State::Whole(body, trailers, charge) => {
                *charge = None;
                let body = body.take().map(Frame::Data);
                let frame = body.or_else(|| trailers.take().map(Frame::Trailers));
                return Poll::Ready(Ok(frame));
            }
            State::Unsigned => return self.up.poll_frame(cx),
            State::Ended => return Poll::Ready(Ok(None)),
            State::Passing(passing) => match ready!(self.up.poll_frame(cx))? {
                Some(Frame::Data(piece)) => {
                    passing.digest.update(&piece);
                    if let Some(events) = &mut passing.events {
                        events.update(&piece);
                    }
                    return Poll::Ready(Ok(Some(Frame::Data(piece))));
                }
                Some(Frame::Trailers(trailers)) => trailers,
                None => HeaderMap::new(),
            },
        };
        Poll::Ready(Ok(self.end(trailers)))
    }

    fn at_end(&self) -> bool {
        match &self.state {
            State::Whole(body, trailers, _) => body.is_none() && trailers.is_none(),
            State::Unsigned => self.up.at_end(),
            State::Passing(_) => false,
            State::Ended => true,
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<Readiness, MessageError>> {
        self.up.poll_ready(cx)
    }

    fn taken(&mut self) {
        self.up.taken();
    }

    fn read_little(&mut self) {
        self.up.read_little();
    }

    fn release(&mut self) {
        self.up.release();
    }

    fn send(&mut self, frame: Frame, last: bool) -> Result<(), MessageError> {
        self.up.send(frame, last)
    }

    fn finish(&mut self) -> Result<(), MessageError> {
        self.up.finish()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), MessageError>> {
        self.up.poll_flush(cx)
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<MessageError> {
        self.up.poll_closed(cx)
    }

    fn outgoing(&self) -> Outgoing {
        self.up.outgoing()
    }
}
