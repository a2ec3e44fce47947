//! The access log: one line for each request, of the fields that the operator chose. None by default.
//!
//! What identifies people or says what they ask for (`client`, `peer`, `path`) is there only if it was
//! chosen, and the query of a target never: keys and prompts stand there.

use std::net::SocketAddr;
use std::time::Duration;

use strum::{EnumString, IntoStaticStr, VariantNames};

use crate::metrics::{Code, RequestProtocol};
use crate::tls::handshake::Session;

/// The target of the lines: `--log-level warn,hybridge::access=info` shows them and hides the rest.
const TARGET: &str = "hybridge::access";

/// Characters of a host or a path that are kept.
const MAX_TEXT: usize = 1024;

/// A field of the access log, by its name in the line.
#[derive(Clone, Copy, Debug, EnumString, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum RequestField {
    /// Address and port of the client.
    Client,
    /// `http1`, `http2`, `grpc` or `websocket`.
    Protocol,
    /// The method.
    Method,
    /// The authority that the client means.
    Host,
    /// The path, without its query.
    Path,
    /// The HTTP status, the name of the gRPC status, or `broken`.
    Code,
    /// From the whole request head to the response head.
    FirstByteMs,
    /// From the whole request head to the end of the response.
    DurationMs,
    /// The key-exchange group of the connection.
    Group,
    /// The names in the client's certificate.
    Peer,
}

/// The chosen fields; none of them: no lines.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RequestFields(pub Vec<RequestField>);

impl RequestField {
    /// The field's name.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl RequestFields {
    fn has(&self, field: RequestField) -> bool {
        self.0.contains(&field)
    }
}

/// What the requests of one connection have in common in the log.
pub(crate) struct RequestLog {
    fields: RequestFields,
    client: Option<String>,
    group: Option<&'static str>,
    peer: Option<String>,
}

/// What a request's line says of its head.
#[derive(Default)]
pub(crate) struct RequestLine {
    method: Option<String>,
    host: Option<String>,
    path: Option<String>,
    pub(crate) first_byte: Option<Duration>,
}

/// How a request ended.
pub(crate) struct RequestEnd {
    pub(crate) protocol: RequestProtocol,
    pub(crate) code: Code,
    pub(crate) took: Duration,
}

impl RequestLog {
    /// None if nothing was chosen.
    pub(crate) fn of(
        fields: &RequestFields,
        client: SocketAddr,
        session: &Session,
    ) -> Option<Self> {
        if fields.0.is_empty() {
            return None;
        }
        let peer = session.peer.as_deref();
        let peer = peer.filter(|_| fields.has(RequestField::Peer));
        Some(Self {
            client: fields.has(RequestField::Client).then(|| client.to_string()),
            group: fields
                .has(RequestField::Group)
                .then(|| session.group.name()),
            peer: peer.map(ToString::to_string),
            fields: fields.clone(),
        })
    }

    /// What was chosen of a request's head. `target`: as it was asked for, with its query.
    pub(crate) fn line(&self, method: &str, host: Option<&[u8]>, target: &str) -> RequestLine {
        let path = || bounded(target.split(['?', '#']).next().unwrap_or_default());
        let host = host.filter(|_| self.fields.has(RequestField::Host));
        RequestLine {
            method: self
                .fields
                .has(RequestField::Method)
                .then(|| bounded(method)),
            host: host.map(|host| bounded(&String::from_utf8_lossy(host))),
            path: self.fields.has(RequestField::Path).then(path),
            first_byte: None,
        }
    }

    /// Writes the line.
    #[cold]
    pub(crate) fn write(&self, listener: &str, line: Option<&RequestLine>, end: &RequestEnd) {
        let chosen = |field| self.fields.has(field);
        let millis = |took: Duration| took.as_secs_f64() * 1e3;
        let first_byte = line.and_then(|line| line.first_byte);
        let first_byte = first_byte.filter(|_| chosen(RequestField::FirstByteMs));
        let code = chosen(RequestField::Code).then(|| end.code.to_string());
        tracing::info!(
            target: TARGET,
            %listener,
            client = self.client.as_deref(),
            protocol = chosen(RequestField::Protocol).then(|| end.protocol.as_str()),
            method = line.and_then(|line| line.method.as_deref()),
            host = line.and_then(|line| line.host.as_deref()),
            path = line.and_then(|line| line.path.as_deref()),
            code = code.as_deref(),
            first_byte_ms = first_byte.map(millis),
            duration_ms = chosen(RequestField::DurationMs).then(|| millis(end.took)),
            group = self.group,
            peer = self.peer.as_deref(),
            "request"
        );
    }
}

fn bounded(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_TEXT);
    let (kept, rest) = text.split_at(end);
    let mut kept = kept.to_owned();
    if !rest.is_empty() {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_at_a_character() {
        assert_eq!(bounded("/v1/models"), "/v1/models");
        let long = bounded(&format!("/{}", "ü".repeat(MAX_TEXT)));
        assert!(long.len() <= MAX_TEXT + '…'.len_utf8() && long.ends_with('…'));
    }
}
