//! What is known of one request, or of one connection of raw TCP, until it becomes a span.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::context::Parent;
use crate::metrics::Code;

/// What the spans of one connection have in common.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The listener's name.
    pub listener: String,
    /// What travels inside TLS: `http` or `tcp`.
    pub protocol: &'static str,
    /// The key-exchange group.
    pub group: &'static str,
    /// Whether it is hybrid, post-quantum or classical.
    pub class: &'static str,
    /// The cipher suite.
    pub suite: &'static str,
    /// The session was resumed by ticket.
    pub resumed: bool,
    /// The port that the client connected to.
    pub port: Option<u16>,
}

/// The head of a request, as far as a trace has to do with it.
pub struct SpanStart<'a> {
    /// The method.
    pub method: &'a str,
    /// The version of HTTP.
    pub version: &'static str,
    /// Each field `traceparent`.
    pub parents: Vec<&'a [u8]>,
    /// Each field `tracestate`.
    pub states: Vec<&'a [u8]>,
}

/// Method and version of a request.
pub(super) type Request = (&'static str, &'static str);

/// A span that has begun.
#[derive(Clone, Debug)]
pub struct Span {
    pub(super) trace: [u8; 16],
    pub(super) id: [u8; 8],
    /// The client's span.
    pub(super) parent: Option<[u8; 8]>,
    /// Somebody records the trace: we do too.
    sampled: bool,
    /// What other vendors say of the trace, for the collector.
    pub(super) state: String,
    /// Method and version; `None`: it is a connection.
    pub(super) request: Option<Request>,
    pub(super) start: SystemTime,
}

/// How what the span stands for ended.
#[derive(Clone, Copy, Debug)]
pub enum SpanEnd {
    /// A request.
    Request(Code),
    /// A connection.
    Connection {
        /// How it ended.
        outcome: &'static str,
        /// That is a failure of this side.
        failed: bool,
    },
}

/// A span that waits for the collector.
pub(super) struct Ended {
    pub(super) span: Span,
    pub(super) facts: Arc<Facts>,
    pub(super) took: Duration,
    pub(super) end: SpanEnd,
}

/// Bytes of `tracestate` that are kept for the collector: as many as everybody has to forward (W3C Trace
/// Context §3.3.1.5). The upstream gets all of it.
const MAX_STATE: usize = 512;

/// Methods that have a name of their own in a span (semantic conventions for HTTP); a client can make up others.
const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY",
];
pub(super) const OTHER_METHOD: &str = "_OTHER";

/// The fields of a client that end here.
const PARENT_FIELD: &str = "traceparent";
const BOTH_FIELDS: [&str; 2] = [PARENT_FIELD, "tracestate"];

impl Span {
    /// The span of a request: a child of the client's, or, by `root`, the begin of a trace.
    pub(super) fn of(
        start: &SpanStart<'_>,
        root: impl FnOnce(Request) -> Option<Self>,
    ) -> Option<Self> {
        let mut methods = METHODS.into_iter();
        let method = methods.find(|known| *known == start.method);
        let request = (method.unwrap_or(OTHER_METHOD), start.version);
        let Some(parent) = Parent::read(start.parents.iter().copied()) else {
            return root(request);
        };
        Some(Self {
            trace: parent.trace,
            id: random()?,
            parent: Some(parent.span),
            sampled: parent.sampled,
            state: state(&start.states),
            request: Some(request),
            start: SystemTime::now(),
        })
    }

    /// The begin of a trace, of which `sampled` says whether it is recorded.
    pub(super) fn root(
        request: Option<Request>,
        sampled: impl FnOnce(&[u8; 16]) -> bool,
    ) -> Option<Self> {
        let trace = random()?;
        Some(Self {
            trace,
            id: random()?,
            parent: None,
            sampled: sampled(&trace),
            state: String::new(),
            request,
            start: SystemTime::now(),
        })
    }

    /// Whether the collector gets it.
    pub(super) fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// The client's trace, in which nobody records: it is forwarded as it came.
    fn is_bystander(&self) -> bool {
        self.parent.is_some() && !self.sampled
    }

    /// The fields of the client that end here: its parent, which ours replaces; and what belongs to a
    /// parent that is none.
    pub fn replaces(&self) -> &'static [&'static str] {
        match self.parent {
            _ if self.is_bystander() => &[],
            Some(_) => &BOTH_FIELDS[..1],
            None => &BOTH_FIELDS,
        }
    }

    /// What the upstream is told instead, name and value.
    pub fn field(&self) -> Option<(&'static str, String)> {
        let ours = Parent {
            trace: self.trace,
            span: self.id,
            sampled: self.sampled,
        };
        (!self.is_bystander()).then(|| (PARENT_FIELD, ours.write()))
    }
}

fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(bytes)
}

/// Several fields are one list (W3C Trace Context §3.3.1.1).
fn state(fields: &[&[u8]]) -> String {
    let joined = fields.join(&b","[..]);
    match String::from_utf8(joined) {
        Ok(state) if state.len() <= MAX_STATE && state.is_ascii() => state,
        _ => String::new(),
    }
}
