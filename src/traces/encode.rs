//! Spans as OTLP has them. Pure.
//!
//! Attributes are those of OpenTelemetry's semantic conventions (HTTP server spans, TLS), and ours under
//! `hybridge.`. No path, no query, no host, no address of a client: what says what is asked, or by whom.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;

use super::span::{Ended, OTHER_METHOD, SpanEnd};
use crate::build::VERSIONS;
use crate::metrics::{Code, GRPC_CODES};

/// Who says this.
const SCOPE: &str = "hybridge";

/// The version of TLS as the conventions write it: there is no other.
const TLS_VERSION: &str = "1.3";

/// In `flags` of a span: it is known whether its parent is of another process, and it is (OTLP, `SpanFlags`).
const KNOWN_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;
const SAMPLED: u32 = 1;

/// The body of a request to the collector.
pub(super) fn request(service_name: &str, ended: &[Ended]) -> Vec<u8> {
    let resource = Resource {
        attributes: vec![
            text("service.name", service_name),
            text("service.version", VERSIONS.hybridge),
        ],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: SCOPE.to_owned(),
        version: VERSIONS.hybridge.to_owned(),
        ..InstrumentationScope::default()
    };
    let spans = ScopeSpans {
        scope: Some(scope),
        spans: ended.iter().map(span).collect(),
        ..ScopeSpans::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![spans],
            ..ResourceSpans::default()
        }],
    };
    request.encode_to_vec()
}

/// How many spans the collector did not take, by its response.
pub(super) fn rejected(body: &[u8]) -> u64 {
    let response = ExportTraceServiceResponse::decode(body).unwrap_or_default();
    let partial = response.partial_success.unwrap_or_default();
    u64::try_from(partial.rejected_spans).unwrap_or(0)
}

fn span(ended: &Ended) -> Span {
    let Ended {
        span,
        facts,
        took,
        end,
    } = ended;
    let mut attributes = Vec::with_capacity(14);
    if let Some((method, version)) = span.request {
        attributes.push(text("http.request.method", method));
        attributes.push(text("url.scheme", "https"));
        attributes.push(text("network.protocol.version", version));
    } else {
        attributes.push(text("network.transport", "tcp"));
    }
    if span.request.is_some() || facts.protocol != "tcp" {
        attributes.push(text("network.protocol.name", facts.protocol));
    }
    if let Some(port) = facts.port {
        attributes.push(number("server.port", port.into()));
    }
    attributes.push(text("tls.protocol.name", "tls"));
    attributes.push(text("tls.protocol.version", TLS_VERSION));
    attributes.push(text("tls.cipher", facts.suite));
    attributes.push(text("tls.curve", facts.group));
    attributes.push(attribute("tls.resumed", Value::BoolValue(facts.resumed)));
    attributes.push(text("hybridge.tls.key_exchange", facts.class));
    attributes.push(text("hybridge.listener", &facts.listener));
    let failed = outcome(*end, &mut attributes);
    let start = nanos(span.start);
    let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    let remote = span.parent.map_or(0, |_| IS_REMOTE);
    Span {
        trace_id: span.trace.to_vec(),
        span_id: span.id.to_vec(),
        parent_span_id: span.parent.map_or_else(Vec::new, |parent| parent.to_vec()),
        trace_state: span.state.clone(),
        flags: SAMPLED | KNOWN_REMOTE | remote,
        // No path: a name says which kind of request it is (semantic conventions for HTTP, "Name").
        name: match span.request {
            Some((OTHER_METHOD, _)) => "HTTP".to_owned(),
            Some((method, _)) => method.to_owned(),
            None => facts.protocol.to_owned(),
        },
        kind: SpanKind::Server.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: start.saturating_add(took),
        attributes,
        status: failed.then(|| Status {
            code: StatusCode::Error.into(),
            ..Status::default()
        }),
        ..Span::default()
    }
}

/// What came of it; whether the server's side failed.
fn outcome(end: SpanEnd, attributes: &mut Vec<KeyValue>) -> bool {
    match end {
        SpanEnd::Request(Code::Http(status)) => {
            attributes.push(number("http.response.status_code", status.into()));
            // A client's mistake is no failure of a server (semantic conventions for HTTP, "Status").
            let failed = status >= 500;
            if failed {
                attributes.push(text("error.type", &status.to_string()));
            }
            failed
        }
        SpanEnd::Request(code @ Code::Grpc(number)) => {
            attributes.push(text("rpc.system.name", "grpc"));
            attributes.push(text("rpc.response.status_code", &code.to_string()));
            // Those that the conventions for gRPC call errors of a server.
            let name = GRPC_CODES.get(usize::from(number));
            let failed = matches!(
                name,
                None | Some(
                    &("UNKNOWN"
                        | "DEADLINE_EXCEEDED"
                        | "UNIMPLEMENTED"
                        | "INTERNAL"
                        | "UNAVAILABLE"
                        | "DATA_LOSS")
                )
            );
            if failed {
                attributes.push(text("error.type", &code.to_string()));
            }
            failed
        }
        SpanEnd::Request(Code::Broken) => {
            attributes.push(text("error.type", "broken"));
            true
        }
        SpanEnd::Connection { outcome, failed } => {
            attributes.push(text("hybridge.outcome", outcome));
            if failed {
                attributes.push(text("error.type", outcome));
            }
            failed
        }
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
