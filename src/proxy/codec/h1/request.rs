//! A request head: parsed, validated, and written anew for the upstream (RFC 9112 §3 and §6).

use std::borrow::Cow;
use std::mem::MaybeUninit;

use bytes::{BufMut, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri, Version};

mod field_summary;
mod target;

pub(super) use self::field_summary::FieldSummary;
use self::target::split_target;
pub(crate) use self::target::{absolute_authority, valid_host};
use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::codec::headers::{self, ForwardedHeaders, put_field};
use crate::proxy::codec::message::Framing;
use crate::signature::Message;

/// Header fields for which there is room without an allocation.
pub(crate) const USUAL_FIELDS: usize = 256;

/// A request head as it stands in the buffer.
pub(crate) struct RequestHead<'b> {
    pub(crate) method: &'b str,
    /// Origin-form or `*`.
    pub(crate) target: Cow<'b, str>,
    /// HTTP/1.0 or HTTP/1.1.
    pub(crate) minor: u8,
    /// The authority the client means; the target's wins over the field's (RFC 9112 §3.2.2).
    pub(crate) host: Option<&'b [u8]>,
    pub(crate) framing: Framing,
    /// The client wants the connection kept.
    pub(crate) keep_alive: bool,
    /// `te: trailers` was said.
    pub(crate) trailers: bool,
    /// A WebSocket handshake (RFC 6455 §4.1).
    pub(crate) websocket: bool,
    pub(crate) grpc: bool,
    fields: &'b [httparse::Header<'b>],
    /// Names that `connection` declares hop-by-hop.
    nominated: Vec<&'b [u8]>,
}

/// What the fields of a CONNECT must say, as those of every request; and it has no body (RFC 9110 §9.3.6): what is
/// announced would be taken for the first bytes of the tunnel.
pub(crate) fn validate_connect(request: &httparse::Request<'_, '_>) -> Result<(), HeadError> {
    let minor = request.version.ok_or(HeadError::Malformed)?;
    let mut facts = FieldSummary::default();
    for field in &*request.headers {
        facts.absorb_field(field)?;
    }
    if facts.framing(minor)? != Framing::None {
        return Err(HeadError::ConnectBody);
    }
    match facts.host(minor)? {
        Some(host) if !valid_host(host) => Err(HeadError::Host),
        _ => Ok(()),
    }
}

/// Slot for one field of a head.
pub(crate) type Field<'b> = MaybeUninit<httparse::Header<'b>>;

/// Uninitialised room for the fields of a usual head.
pub(crate) fn no_fields<'b>() -> [Field<'b>; USUAL_FIELDS] {
    [const { MaybeUninit::uninit() }; USUAL_FIELDS]
}

/// The same for a head of up to `count` fields.
pub(crate) fn no_fields_of<'b>(count: usize) -> Vec<Field<'b>> {
    (0..count).map(|_| MaybeUninit::uninit()).collect()
}

impl<'b> RequestHead<'b> {
    /// Parses a whole head of at most `max_fields` fields, or as many as there is room for.
    pub(crate) fn parse(
        head: &'b [u8],
        fields_buf: &'b mut [Field<'b>],
        max_fields: usize,
    ) -> Result<Self, HeadError> {
        let mut request = httparse::Request::new(&mut []);
        let max = max_fields.min(fields_buf.len());
        let parsed = request.parse_with_uninit_headers(head, &mut fields_buf[..max])?;
        if parsed.is_partial() {
            return Err(HeadError::Malformed);
        }
        let (Some(method), Some(target), Some(minor)) =
            (request.method, request.path, request.version)
        else {
            return Err(HeadError::Malformed);
        };
        let mut facts = FieldSummary::default();
        for field in &*request.headers {
            facts.absorb_field(field)?;
        }
        let framing = facts.framing(minor)?;
        let (target, authority) = split_target(method, target)?;
        let host = authority.map(str::as_bytes).or(facts.host(minor)?);
        // An empty one is legal, and names none (RFC 9110 §7.2).
        let host = host.filter(|host| !host.is_empty());
        if host.is_some_and(|host| !valid_host(host)) {
            return Err(HeadError::Host);
        }
        Ok(Self {
            method,
            target,
            minor,
            host,
            framing,
            keep_alive: facts.keep_alive(minor),
            trailers: facts.trailers,
            // With a body, the bytes after the head would be two things at once.
            websocket: facts.upgrade
                && facts.websocket
                && method == "GET"
                && minor == 1
                && matches!(framing, Framing::None | Framing::Length(0)),
            grpc: facts.grpc,
            fields: request.headers,
            nominated: facts.nominated,
        })
    }

    /// What signatures can cover of it: no field that ends here, since the app does not get it.
    pub(crate) fn message(&self, identity: &ForwardedHeaders) -> Message<'_> {
        let is_covered = |name: &[u8]| {
            self.is_end_to_end(name, identity) || name.eq_ignore_ascii_case(b"content-length")
        };
        let fields = self.fields.iter();
        let fields = fields.filter(|field| is_covered(field.name.as_bytes()));
        Message {
            method: self.method,
            authority: self.host,
            target: &self.target,
            has_body: !matches!(self.framing, Framing::None | Framing::Length(0)),
            fields: fields.map(|field| (field.name, field.value)).collect(),
        }
    }

    /// Fields of these names end here too.
    pub(crate) fn leave_out(&mut self, names: &[&'static str]) {
        let names = names.iter().copied();
        self.nominated.extend(names.map(str::as_bytes));
    }

    /// The values of each field of this name.
    pub(crate) fn values(&self, name: &'static str) -> impl Iterator<Item = &'b [u8]> {
        let fields = self.fields.iter();
        fields
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }

    fn is_end_to_end(&self, name: &[u8], identity: &ForwardedHeaders) -> bool {
        !(headers::is_hop_by_hop(name)
            || name.eq_ignore_ascii_case(b"host")
            || name.eq_ignore_ascii_case(b"content-length")
            || identity.owns(name)
            || self.nominated.iter().any(|n| n.eq_ignore_ascii_case(name)))
    }

    /// The end-to-end fields, except framing and host.
    fn end_to_end_fields<'a>(
        &'a self,
        identity: &'a ForwardedHeaders,
    ) -> impl Iterator<Item = &'a httparse::Header<'b>> {
        self.fields
            .iter()
            .filter(|field| self.is_end_to_end(field.name.as_bytes(), identity))
    }

    /// The host that the upstream is told.
    fn host_or<'a>(&'a self, default_host: &'a str) -> &'a [u8] {
        self.host.unwrap_or(default_host.as_bytes())
    }

    /// Writes the head for an HTTP/1.1 upstream. `default_host` serves clients that name none.
    pub(crate) fn write_to(
        &self,
        out: &mut BytesMut,
        identity: &ForwardedHeaders,
        default_host: &str,
    ) {
        out.reserve(512);
        out.put_slice(self.method.as_bytes());
        out.put_u8(b' ');
        out.put_slice(self.target.as_bytes());
        out.put_slice(b" HTTP/1.1\r\n");
        put_field(out, b"host", self.host_or(default_host));
        for field in self.end_to_end_fields(identity) {
            put_field(out, field.name.as_bytes(), field.value);
        }
        identity.put_lines(out, self.host);
        self.framing.put_fields(out);
        match (self.websocket, self.trailers) {
            (true, _) => out.put_slice(b"connection: upgrade\r\nupgrade: websocket\r\n"),
            (false, true) => out.put_slice(b"te: trailers\r\nconnection: te\r\n"),
            (false, false) => {}
        }
        out.put_slice(b"\r\n");
    }

    /// The head for an HTTP/2 upstream.
    pub(crate) fn to_http2(
        &self,
        identity: &ForwardedHeaders,
        default_host: &str,
        scheme: &str,
    ) -> Result<Request<()>, HeadError> {
        let mut fields = HeaderMap::with_capacity(self.fields.len() + 8);
        for field in self.end_to_end_fields(identity) {
            let name = HeaderName::from_bytes(field.name.as_bytes());
            let value = HeaderValue::from_bytes(field.value);
            if let (Ok(name), Ok(value)) = (name, value) {
                fields.append(name, value);
            }
        }
        if let Framing::Length(length) = self.framing {
            fields.insert(http::header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        if self.trailers || self.grpc {
            fields.insert(http::header::TE, HeaderValue::from_static("trailers"));
        }
        identity.append_to(&mut fields, self.host);
        let authority = self.host_or(default_host);
        let uri = Uri::builder()
            .scheme(scheme)
            .authority(authority)
            .path_and_query(&*self.target)
            .build()
            .map_err(|_| HeadError::Target)?;
        let mut request = Request::new(());
        *request.method_mut() =
            Method::from_bytes(self.method.as_bytes()).map_err(|_| HeadError::Malformed)?;
        *request.uri_mut() = uri;
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = fields;
        Ok(request)
    }
}

#[cfg(test)]
mod tests;
