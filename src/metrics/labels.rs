//! The closed sets of label values.

use std::fmt;

use strum::{IntoStaticStr, VariantNames};

/// What a request speaks, as the label `protocol`.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum RequestProtocol {
    /// HTTP/1.0 and HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// gRPC over HTTP/2.
    Grpc,
    /// WebSocket over either version.
    Websocket,
}

impl RequestProtocol {
    /// How many there are.
    pub const COUNT: usize = Self::VARIANTS.len();

    /// The label value.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Which limit ended a connection to make room for another, as the label `reason`.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum ShedReason {
    /// Handshakes that wait for their client.
    HalfOpenHandshakes,
    /// Handshakes that a source begins in a second.
    HandshakeRate,
    /// Handshakes that wait for their turn to be computed.
    QueuedHandshakes,
}

impl ShedReason {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What a panic ended, as the label `task`.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum PanickedTask {
    /// Accepting connections.
    Accept,
    /// A connection of the admin port.
    Admin,
    /// A client's connection.
    Connection,
    /// A look at the certificate files.
    Reload,
    /// Whose handshake or request a worker begins next.
    Scheduler,
    /// One HTTP/2 stream.
    Stream,
    /// The export of traces.
    Traces,
    /// Connections to the upstream.
    Upstream,
    /// A worker's thread, outside its tasks.
    Worker,
}

impl PanickedTask {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The names of the gRPC status codes, by number; `BROKEN` stands for a call without a status.
pub const GRPC_CODES: [&str; 18] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
    "BROKEN",
];

/// The status classes; `broken` stands for a request that ended without a whole response.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "broken"];

/// How a request ended, as the label `code`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Code {
    /// An HTTP status.
    Http(u16),
    /// A gRPC status.
    Grpc(u8),
    /// No whole response: one side went away.
    Broken,
}

impl fmt::Display for Code {
    /// As a log has it: the HTTP status, the name of the gRPC status, or `broken`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(status) => status.fmt(f),
            Self::Grpc(code) => {
                let known = GRPC_CODES.get(usize::from(*code)).filter(|_| *code < 17);
                f.write_str(known.unwrap_or(&"UNKNOWN"))
            }
            Self::Broken => f.write_str("broken"),
        }
    }
}

impl Code {
    pub(super) fn index(self, protocol: RequestProtocol) -> usize {
        match (self, protocol) {
            (Self::Grpc(code), RequestProtocol::Grpc) if code < 17 => usize::from(code),
            (Self::Grpc(_), RequestProtocol::Grpc) => 2,
            (Self::Http(status), RequestProtocol::Grpc) => grpc_code_of_http(status),
            (Self::Broken, RequestProtocol::Grpc) => 17,
            (Self::Http(status), _) => usize::from(status / 100).clamp(1, 5) - 1,
            (Self::Grpc(_) | Self::Broken, _) => 5,
        }
    }
}

/// The grpc-status that stands for an HTTP status without one
/// (gRPC over HTTP/2, "HTTP to gRPC Status Code Mapping").
fn grpc_code_of_http(status: u16) -> usize {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

pub(super) fn per_protocol<T>(make: impl Fn(&'static str) -> T) -> [T; RequestProtocol::COUNT] {
    std::array::from_fn(|index| make(RequestProtocol::VARIANTS[index]))
}

pub(super) fn per_code<T>(protocol: &str, make: impl Fn(&'static str) -> T) -> Vec<T> {
    if protocol == RequestProtocol::Grpc.as_str() {
        GRPC_CODES.into_iter().map(make).collect()
    } else {
        CLASSES.into_iter().map(make).collect()
    }
}
