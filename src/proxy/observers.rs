//! Who hears of the requests of a connection: the access log, and the traces. Without either there is
//! nothing here, and a request looks for it once.

use std::time::Duration;

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::proxy::codec::h1::request::RequestHead;
use crate::proxy::codec::headers::put_field;
use crate::proxy::request_log::{RequestEnd, RequestLine, RequestLog};
use crate::traces::{ConnectionTraces, Span, SpanEnd, SpanStart};

/// The fields of W3C Trace Context.
const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";

/// Who hears of the requests of one connection.
pub(crate) struct Observers {
    log: Option<RequestLog>,
    traces: Option<ConnectionTraces>,
    /// The version of HTTP of what cannot be read.
    version: &'static str,
}

/// What they know of one request.
pub(crate) struct Observed {
    line: Option<RequestLine>,
    span: Option<Span>,
}

impl Observers {
    /// None if nobody wants to hear.
    pub(crate) fn of(
        log: Option<RequestLog>,
        traces: Option<ConnectionTraces>,
        version: &'static str,
    ) -> Option<Box<Self>> {
        let wanted = log.is_some() || traces.is_some();
        wanted.then(|| {
            Box::new(Self {
                log,
                traces,
                version,
            })
        })
    }

    /// A request of HTTP/1.1 begins.
    #[cold]
    pub(crate) fn begin(&self, head: &RequestHead<'_>) -> Box<Observed> {
        let log = self.log.as_ref();
        let line = log.map(|log| log.line(head.method, head.host, &head.target));
        let span = self.traces.as_ref().and_then(|traces| {
            traces.begin(&SpanStart {
                method: head.method,
                version: if head.minor == 0 { "1.0" } else { "1.1" },
                parents: head.values(PARENT).collect(),
                states: head.values(STATE).collect(),
            })
        });
        Box::new(Observed { line, span })
    }

    /// A request of HTTP/2 begins; `line` is what the access log says of it.
    #[cold]
    pub(crate) fn begin_http2(
        &self,
        method: &str,
        fields: &HeaderMap,
        line: impl FnOnce(&RequestLog) -> RequestLine,
    ) -> Box<Observed> {
        let values = |name| {
            let values = fields.get_all(HeaderName::from_static(name)).into_iter();
            values.map(HeaderValue::as_bytes).collect()
        };
        let span = self.traces.as_ref().and_then(|traces| {
            traces.begin(&SpanStart {
                method,
                version: "2",
                parents: values(PARENT),
                states: values(STATE),
            })
        });
        Box::new(Observed {
            line: self.log.as_ref().map(line),
            span,
        })
    }

    /// A request has ended; `observed` is what its head said, if it could be read.
    #[cold]
    pub(crate) fn end(&self, listener: &str, observed: Option<&Observed>, end: &RequestEnd) {
        if let Some(log) = &self.log {
            log.write(listener, observed.and_then(|of| of.line.as_ref()), end);
        }
        let Some(traces) = &self.traces else { return };
        let ended = |span: &Span| traces.end(span, end.took, SpanEnd::Request(end.code));
        match observed {
            Some(observed) => observed.span.iter().for_each(ended),
            None => traces.unread(self.version).iter().for_each(ended),
        }
    }
}

impl Observed {
    /// The fields of the client that end here.
    pub(crate) fn replaces(&self) -> &'static [&'static str] {
        self.span.as_ref().map_or(&[], Span::replaces)
    }

    /// The response head came.
    #[cold]
    pub(crate) fn first_byte(&mut self, after: Duration) {
        if let Some(line) = &mut self.line {
            line.first_byte = Some(after);
        }
    }

    /// Tells the upstream which span is its parent, in an HTTP/1.1 head that was written.
    #[cold]
    pub(crate) fn put_line(&self, head: &mut BytesMut) {
        if let Some((name, value)) = self.span.as_ref().and_then(Span::field) {
            head.truncate(head.len().saturating_sub(b"\r\n".len()));
            put_field(head, name.as_bytes(), value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
    }

    /// Takes the fields of the client that end here out of those of HTTP/2.
    #[cold]
    pub(crate) fn remove_from(&self, fields: &mut HeaderMap) {
        for name in self.replaces() {
            fields.remove(*name);
        }
    }

    /// The same as `put_line` for the fields of HTTP/2.
    #[cold]
    pub(crate) fn insert_into(&self, fields: &mut HeaderMap) {
        let Some(span) = &self.span else { return };
        if let Some((name, value)) = span.field()
            && let Ok(value) = HeaderValue::try_from(value)
        {
            fields.insert(HeaderName::from_static(name), value);
        }
    }
}
