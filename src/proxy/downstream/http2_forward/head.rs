//! Request heads of HTTP/2 clients, written for either kind of upstream (RFC 9113 §8.3).

use bytes::{Bytes, BytesMut};
use http::header::{
    CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_KEY, TE,
};
use http::request::Parts;
use http::{Method, Request, Uri, Version};

use crate::proxy::codec::h1::request::valid_host;
use crate::proxy::codec::headers::{ForwardedHeaders, field_size, is_hop_by_hop, put_field};
use crate::proxy::codec::message::Framing;
use crate::proxy::context::Context;
use crate::proxy::request_log::{RequestLine, RequestLog};

/// Room for the fields that we add to a head.
const ADDED: usize = 512;
/// What a cookie crumb takes beyond its part of the one field (`cookie: ` and CRLF, less `; `).
const CRUMB: usize = 8;

/// What is known of a request that was checked.
pub(super) struct Prepared {
    /// The host it is for.
    pub(super) host: Option<Vec<u8>>,
    /// Bytes of its head.
    pub(super) size: usize,
}

/// What the fields of a request say together, from one pass over them.
#[derive(Default)]
pub(super) struct Tally {
    /// The bytes of the head as HTTP/1.1 would count them.
    pub(super) size: usize,
    pub(super) fields: usize,
    pub(super) hosts: usize,
    pub(super) content_lengths: usize,
    /// Whether any of them ends here.
    pub(super) hop_by_hop: bool,
    /// Those that the proxy sets itself.
    pub(super) owned: Vec<HeaderName>,
}

impl Tally {
    pub(super) fn of(parts: &Parts, ours: &ForwardedHeaders) -> Self {
        let mut tally = Self::default();
        let mut crumbs = 0;
        for (name, value) in &parts.headers {
            tally.size += field_size(name, value);
            match *name {
                COOKIE => crumbs += 1,
                HOST => tally.hosts += 1,
                CONTENT_LENGTH => tally.content_lengths += 1,
                _ if is_hop_by_hop(name.as_str().as_bytes()) => tally.hop_by_hop = true,
                _ if ours.owns(name.as_str().as_bytes()) => tally.owned.push(name.clone()),
                _ => {}
            }
        }
        // Cookie crumbs are one field (RFC 9113 §8.2.3): a limit is one of the message, not of the
        // way it came.
        let more = usize::saturating_sub(crumbs, 1);
        tally.fields = parts.headers.len() - more;
        let target = parts
            .uri
            .path_and_query()
            .map_or(0, |path| path.as_str().len());
        let authority = parts.uri.authority().map_or(0, |host| host.as_str().len());
        let around = "  HTTP/1.1\r\nhost: \r\n\r\n".len();
        tally.size += parts.method.as_str().len() + target + authority + around;
        tally.size -= more * CRUMB;
        tally
    }
}

/// The authority a request means: `:authority`, else the field; an empty one is legal, and names none
/// (RFC 9110 §7.2).
pub(super) fn host_of(parts: &Parts) -> Option<Vec<u8>> {
    let host = match parts.uri.authority() {
        Some(authority) => authority.as_str().as_bytes(),
        None => parts.headers.get(HOST)?.as_bytes(),
    };
    (!host.is_empty()).then(|| host.to_vec())
}

/// The host that the upstream is told.
fn host_or_default<'a>(host: Option<&'a [u8]>, context: &'a Context) -> &'a [u8] {
    host.unwrap_or(context.upstream.default_host.as_bytes())
}

/// What the access log says of a request.
#[cold]
pub(super) fn line(log: &RequestLog, parts: &Parts) -> RequestLine {
    let target = parts.uri.path_and_query().map_or("", |path| path.as_str());
    // What is no host may be a secret that stands in its place.
    let host = host_of(parts).filter(|host| valid_host(host));
    log.line(parts.method.as_str(), host.as_deref(), target)
}

/// h2 has checked that the content agrees with a content-length.
///
/// A method that means to send content says so even if there is none (RFC 9110 §8.6).
pub(super) fn framing_of(parts: &Parts, ended: bool) -> Framing {
    let length = parts
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    match length {
        Some(length) => Framing::Length(length),
        None if ended && matches!(parts.method, Method::POST | Method::PUT | Method::PATCH) => {
            Framing::Length(0)
        }
        None if ended => Framing::None,
        None => Framing::Chunked,
    }
}

/// Writes a head for an HTTP/1.1 upstream (RFC 9113 §8.3, in reverse) that came with so many bytes; `key` is that of a
/// WebSocket.
pub(super) fn write_head(
    parts: &Parts,
    size: usize,
    host: Option<&[u8]>,
    framing: Framing,
    key: Option<&str>,
    context: &Context,
) -> Bytes {
    let websocket = key.is_some();
    let mut out = BytesMut::with_capacity(size + ADDED);
    let method = if websocket {
        "GET"
    } else {
        parts.method.as_str()
    };
    let target = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    for piece in [method, " ", target, " HTTP/1.1\r\n"] {
        out.extend_from_slice(piece.as_bytes());
    }
    put_field(&mut out, b"host", host_or_default(host, context));
    for (name, value) in &parts.headers {
        let ours = websocket && *name == SEC_WEBSOCKET_KEY;
        if !(ours || matches!(*name, CONTENT_LENGTH | COOKIE | TE)) {
            put_field(&mut out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    put_cookies(&mut out, &parts.headers);
    context.identity.put_lines(&mut out, host);
    framing.put_fields(&mut out);
    if let Some(key) = key {
        put_field(&mut out, b"sec-websocket-key", key.as_bytes());
        out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n");
    } else if parts.headers.contains_key(TE) {
        out.extend_from_slice(b"te: trailers\r\nconnection: te\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out.freeze()
}

/// Cookies that HTTP/2 splits are one field in HTTP/1.1 (RFC 9113 §8.2.3).
fn put_cookies(out: &mut BytesMut, fields: &HeaderMap) {
    let crumbs: Vec<&[u8]> = fields
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if !crumbs.is_empty() {
        put_field(out, b"cookie", &crumbs.join(&b"; "[..]));
    }
}

/// The request for an HTTP/2 upstream.
pub(super) fn to_request(
    mut parts: Parts,
    host: Option<&[u8]>,
    context: &Context,
) -> Option<Request<()>> {
    context.identity.append_to(&mut parts.headers, host);
    let mut request = Request::new(());
    *request.uri_mut() = Uri::builder()
        .scheme(context.upstream.scheme)
        .authority(host_or_default(host, context))
        .path_and_query(parts.uri.path_and_query().map_or("/", |path| path.as_str()))
        .build()
        .ok()?;
    *request.method_mut() = parts.method;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = parts.headers;
    Some(request)
}
