//! Where the spans of one connection go.

use std::sync::Arc;
use std::time::Duration;

use super::queue::Exporter;
use super::span::{Ended, Facts, OTHER_METHOD, Request, Span, SpanEnd, SpanStart};

/// Where the spans of one connection go.
pub struct ConnectionTraces {
    exporter: Arc<Exporter>,
    facts: Arc<Facts>,
}

impl ConnectionTraces {
    /// Spans of a connection of these facts, for this exporter.
    pub fn new(exporter: Arc<Exporter>, facts: Facts) -> Self {
        Self {
            exporter,
            facts: Arc::new(facts),
        }
    }

    /// Begins the span of a request: a child of the client's, or a trace of its own. None without
    /// randomness.
    pub fn begin(&self, of: &SpanStart<'_>) -> Option<Span> {
        Span::of(of, |request| self.root(Some(request)))
    }

    /// Begins the span of a request whose head could not be read.
    pub fn unread(&self, version: &'static str) -> Option<Span> {
        self.root(Some((OTHER_METHOD, version)))
    }

    /// Begins the span of the connection itself.
    pub fn whole(&self) -> Option<Span> {
        self.root(None)
    }

    fn root(&self, request: Option<Request>) -> Option<Span> {
        Span::root(request, |trace| self.exporter.samples(trace))
    }

    /// Hands a span over that has ended. Never waits.
    pub fn end(&self, span: &Span, took: Duration, end: SpanEnd) {
        if span.is_sampled() {
            self.exporter.add(Ended {
                span: span.clone(),
                facts: Arc::clone(&self.facts),
                took,
                end,
            });
        }
    }
}
