//! What is timed of an exchange while it runs: a silence that ends it, and the pieces of a token stream.
//! An exchange of which nothing is timed has none of this.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::HeaderValue;
use tokio::time::{Instant, Sleep};

use crate::metrics::{RequestProtocol, StreamMetrics};
use crate::proxy::codec::media_type::{is_grpc, media_type_is};
use crate::proxy::codec::message::{Frame, Outgoing};

/// Media types of responses that come event by event.
const STREAMS: [&str; 5] = [
    "text/event-stream",
    "application/x-ndjson",
    "application/jsonl",
    "application/json-seq",
    "application/stream+json",
];

/// Whether a content-type announces a stream. All of gRPC: a call is not known to be unary before its end.
pub(crate) fn is_stream(content_type: &[u8]) -> bool {
    is_grpc(content_type) || STREAMS.iter().any(|kind| media_type_is(content_type, kind))
}

/// The same of the field, if there is one.
pub(crate) fn announces_stream(content_type: Option<&HeaderValue>) -> bool {
    content_type.is_some_and(|value| is_stream(value.as_bytes()))
}

/// What is timed of an exchange.
pub(crate) struct Pace {
    idle: Option<Idle>,
    stream: Option<StreamClock>,
}

impl Pace {
    /// None if nothing is timed.
    pub(crate) fn new(idle: Option<Duration>, stream: Option<StreamClock>) -> Option<Box<Self>> {
        if idle.is_none() && stream.is_none() {
            return None;
        }
        let idle = idle.map(Idle::new);
        Some(Box::new(Self { idle, stream }))
    }

    /// Something came of either side.
    pub(crate) fn progress(&mut self) {
        if let Some(idle) = &mut self.idle {
            idle.progress = true;
        }
    }

    /// A piece of the response came; trailers are none of a body.
    pub(crate) fn piece(&mut self, frame: &Frame) {
        self.progress();
        if let (Some(stream), Frame::Data(data)) = (&mut self.stream, frame)
            && !data.is_empty()
        {
            stream.piece();
        }
    }

    /// Ready when neither side has said or taken anything for too long; `sides`: what was sent to them.
    pub(crate) fn poll_idle(
        &mut self,
        cx: &mut Context<'_>,
        sides: impl Fn() -> [Outgoing; 2],
    ) -> Poll<()> {
        match &mut self.idle {
            Some(idle) => idle.poll(cx, sides),
            None => Poll::Pending,
        }
    }
}

/// The opt-in timer of a silence in both directions.
struct Idle {
    after: Duration,
    timer: Pin<Box<Sleep>>,
    progress: bool,
    /// What had been sent to the sides when the timer last fired.
    before: Option<[Outgoing; 2]>,
}

impl Idle {
    fn new(after: Duration) -> Self {
        Self {
            after,
            timer: Box::pin(tokio::time::sleep(after)),
            progress: false,
            before: None,
        }
    }

    /// A side that reads slowly takes for long what lies in the kernel before there is room for more: as
    /// long as something lies there, it is silent only if two looks see the same.
    fn poll(&mut self, cx: &mut Context<'_>, sides: impl Fn() -> [Outgoing; 2]) -> Poll<()> {
        if std::mem::take(&mut self.progress) {
            self.timer.as_mut().reset(Instant::now() + self.after);
            self.before = None;
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = sides();
            let goes_on = match self.before.replace(now) {
                None => now.iter().any(|side| side.untaken > 0),
                Some(before) => {
                    let mut sides = now.into_iter().zip(before);
                    sides.any(|(now, before)| now.is_taken_since(before))
                }
            };
            if !goes_on {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(Instant::now() + self.after);
        }
        Poll::Pending
    }
}

/// Times the pieces of one streamed response, as they come from the upstream: nothing is parsed, so
/// what the upstream writes at once is one piece.
pub(crate) struct StreamClock {
    metrics: Arc<StreamMetrics>,
    protocol: RequestProtocol,
    /// When the request began, then when the last piece came.
    since: std::time::Instant,
    begun: bool,
}

impl StreamClock {
    /// Counts a stream as open while it lives; `asked`: when its request began.
    pub(crate) fn new(
        metrics: &Arc<StreamMetrics>,
        protocol: RequestProtocol,
        asked: std::time::Instant,
    ) -> Self {
        metrics.open(protocol, 1);
        Self {
            metrics: Arc::clone(metrics),
            protocol,
            since: asked,
            begun: false,
        }
    }

    fn piece(&mut self) {
        let now = std::time::Instant::now();
        let after = now.saturating_duration_since(self.since);
        self.since = now;
        if std::mem::replace(&mut self.begun, true) {
            self.metrics.gap(self.protocol, after);
        } else {
            self.metrics.first(self.protocol, after);
        }
    }
}

impl Drop for StreamClock {
    fn drop(&mut self) {
        self.metrics.open(self.protocol, -1);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::task::Waker;

    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_side_that_takes_what_was_sent_is_not_silent() {
        let after = Duration::from_secs(5);
        let mut pace = Pace::new(Some(after), None).unwrap();
        let mut silent = |sent, untaken| {
            let sides = || [Outgoing { sent, untaken }, Outgoing::default()];
            let mut cx = Context::from_waker(Waker::noop());
            pace.poll_idle(&mut cx, sides).is_ready()
        };
        assert!(!silent(9, 900));
        for (sent, untaken) in [(9, 900), (9, 800), (10, 900), (10, 899)] {
            advance(after).await;
            assert!(!silent(sent, untaken), "{sent} {untaken}");
        }
        advance(after).await;
        assert!(silent(10, 899));
        let mut pace = Pace::new(Some(after), None).unwrap();
        advance(after).await;
        let mut cx = Context::from_waker(Waker::noop());
        let taken = || [Outgoing::default(); 2];
        assert!(pace.poll_idle(&mut cx, taken).is_ready());
    }

    #[test]
    fn streams_are_known_by_their_media_type() {
        for stream in [
            "text/event-stream",
            "Text/Event-Stream; charset=utf-8",
            "application/x-ndjson",
            "application/grpc+proto",
            "application/grpc",
        ] {
            assert!(is_stream(stream.as_bytes()), "{stream}");
        }
        for other in [
            "",
            "text",
            "application/json",
            "text/event-streams",
            "text/event-stream+x",
            "application/grpc-web",
        ] {
            assert!(!is_stream(other.as_bytes()), "{other}");
        }
    }
}
