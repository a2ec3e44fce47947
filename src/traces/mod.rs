//! Traces: which span a request is, and its way to a collector by OTLP over HTTP.
//!
//! `context` reads and writes `traceparent`, `span` is what is known of one request or connection,
//! `queue` holds those that ended, `export` brings them to the collector in batches (`encode`, `client`).
//! Nothing here waits on the way of a request: a span that finds no room is counted and forgotten.

mod client;
mod connection;
mod context;
mod encode;
mod endpoint;
mod export;
mod queue;
mod settings;
mod span;

pub use self::connection::ConnectionTraces;
pub use self::endpoint::{Endpoint, EndpointError};
pub use self::export::ExporterError;
pub use self::queue::{Exporter, Traces};
pub use self::settings::{DEFAULT_QUEUE, Sample, Settings};
pub use self::span::{Facts, Span, SpanEnd, SpanStart};
