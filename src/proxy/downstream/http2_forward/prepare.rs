//! What is refused of a request over HTTP/2, and what of its fields ends here.

use http::Method;
use http::header::HOST;
use http::request::Parts;
use http::uri::PathAndQuery;

use super::Served;
use super::head::{Prepared, Tally, host_of};
use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::codec::h1::request::valid_host;
use crate::proxy::codec::h2::held_heads::HeldHead;
use crate::proxy::codec::h2::stream::USUAL_HEAD;
use crate::proxy::codec::headers::strip_hop_by_hop;

impl Served<'_> {
    /// The memory of a large head, until it is dropped; `None`: there is none.
    pub(super) async fn memory_for_head(&mut self, bytes: usize) -> Option<Option<HeldHead>> {
        if bytes <= USUAL_HEAD {
            return Some(None);
        }
        // Boxed: hardly any stream comes here, and each would be as large.
        let held = Box::pin(self.client.memory_for_request(bytes)).await;
        held.map(Some)
    }

    /// Checks a request and leaves its end-to-end fields.
    pub(super) fn prepare(
        &self,
        parts: &mut Parts,
        websocket: bool,
    ) -> Result<Prepared, HeadError> {
        if parts.method == Method::CONNECT && !websocket {
            return Err(HeadError::Connect);
        }
        let settings = &self.context.settings;
        let tally = Tally::of(parts, &self.context.identity);
        if tally.fields > settings.max_headers {
            return Err(HeadError::TooManyFields);
        }
        if tally.size > settings.max_head_bytes {
            return Err(HeadError::TooLarge);
        }
        if tally.hosts > 1 {
            return Err(HeadError::Host);
        }
        if tally.content_lengths > 1 {
            return Err(HeadError::ContentLength);
        }
        let host = host_of(parts);
        if host.as_ref().is_some_and(|host| !valid_host(host)) {
            return Err(HeadError::Host);
        }
        if !has_target(parts) {
            return Err(HeadError::Target);
        }
        if tally.hop_by_hop {
            strip_hop_by_hop(&mut parts.headers);
        }
        if tally.hosts > 0 {
            parts.headers.remove(HOST);
        }
        for name in tally.owned {
            parts.headers.remove(name);
        }
        Ok(Prepared {
            host,
            size: tally.size,
        })
    }
}

/// `:path` is what RFC 9113 §8.3.1 allows; a WebSocket's is no different.
fn has_target(parts: &Parts) -> bool {
    match parts.uri.path_and_query().map(PathAndQuery::as_str) {
        Some("*") => parts.method == Method::OPTIONS,
        Some(path) => path.starts_with('/'),
        None => false,
    }
}
