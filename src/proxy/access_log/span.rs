//! The span of a connection that has no requests.

use std::time::Instant;

use crate::proxy::error::Outcome;
use crate::traces::{ConnectionTraces, Span, SpanEnd};

/// The span of a connection that is served as a whole.
pub(in crate::proxy) struct ConnectionSpan {
    traces: ConnectionTraces,
    span: Span,
    since: Instant,
}

impl ConnectionSpan {
    #[cold]
    pub(in crate::proxy) fn begin(traces: ConnectionTraces) -> Option<Box<Self>> {
        let (span, since) = (traces.whole()?, Instant::now());
        Some(Box::new(Self {
            traces,
            span,
            since,
        }))
    }

    #[cold]
    pub(super) fn end(self, outcome: Outcome) {
        let failed = matches!(
            outcome,
            Outcome::Cut | Outcome::Internal | Outcome::UpstreamBroken
        );
        let end = SpanEnd::Connection {
            outcome: outcome.as_str(),
            failed,
        };
        self.traces.end(&self.span, self.since.elapsed(), end);
    }
}
