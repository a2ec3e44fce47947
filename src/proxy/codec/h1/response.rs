//! A response head of the upstream: parsed, validated, and written anew for the client
//! (RFC 9112 §4 and §6.3).

use bytes::{BufMut, BytesMut};
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::codec::h1::request::{Field, FieldSummary, USUAL_FIELDS, no_fields};
use crate::proxy::codec::headers;
use crate::proxy::codec::headers::put_field;
use crate::proxy::codec::message::Framing;

/// Bytes of a response head, of either HTTP version, before it counts as malformed; it has [`USUAL_FIELDS`] at most.
pub(crate) const MAX_RESPONSE_HEAD: usize = 256 * 1024;

/// A response head as it stands in the buffer.
pub(crate) struct ResponseHead<'b> {
    pub(crate) status: u16,
    reason: &'b str,
    /// How its body ends.
    pub(crate) framing: Framing,
    /// The server keeps the connection, and nothing of this response can be taken for the next.
    pub(crate) keep_alive: bool,
    /// Its fields switch to WebSocket (RFC 9110 §7.8).
    pub(crate) to_websocket: bool,
    /// A length that belongs to no body: an answer to HEAD, a 304.
    stated_length: Option<u64>,
    fields: &'b [httparse::Header<'b>],
    nominated: Vec<&'b [u8]>,
}

/// How the connection to an HTTP/1 client goes on after a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Persistence {
    /// It is kept, as HTTP/1.1 does by default.
    Default,
    /// It is kept, which an HTTP/1.0 client must be told.
    Explicit,
    /// It is closed.
    Close,
}

impl<'b> ResponseHead<'b> {
    /// The media type of its content.
    pub(crate) fn content_type(&self) -> Option<&'b [u8]> {
        let mut fields = self.fields.iter();
        let field = fields.find(|field| field.name.eq_ignore_ascii_case("content-type"))?;
        Some(field.value)
    }

    /// Parses a whole head and validates it. `is_head`: it answers a HEAD request.
    pub(crate) fn parse(
        head: &'b [u8],
        fields_buf: &'b mut [Field<'b>; USUAL_FIELDS],
        is_head: bool,
    ) -> Result<Self, HeadError> {
        let mut response = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let parsed =
            config.parse_response_with_uninit_headers(&mut response, head, &mut fields_buf[..])?;
        let (Some(status), Some(minor)) = (response.code, response.version) else {
            return Err(HeadError::Malformed);
        };
        if parsed.is_partial() || !(100..1000).contains(&status) {
            return Err(HeadError::Malformed);
        }
        let mut facts = FieldSummary::default();
        for field in &*response.headers {
            facts.absorb_field(field)?;
        }
        let length = facts.length()?;
        let bodiless = is_head || status < 200 || status == 204 || status == 304;
        let framing = match length {
            _ if bodiless => Framing::None,
            Some(length) => Framing::Length(length),
            None if facts.chunked => Framing::Chunked,
            None => Framing::UntilClose,
        };
        // A server that announces content which must not come may send it all the same.
        let announced = facts.chunked || status == 204 && length.is_some_and(|length| length > 0);
        Ok(Self {
            status,
            reason: response.reason.unwrap_or_default(),
            framing,
            keep_alive: facts.keep_alive(minor)
                && framing != Framing::UntilClose
                && !(bodiless && announced),
            to_websocket: facts.upgrade && facts.websocket,
            stated_length: length.filter(|_| bodiless && status >= 200 && status != 204),
            fields: response.headers,
            nominated: facts.nominated,
        })
    }

    /// A head as HTTP/2 has it, the framing of its body, and whether the server keeps the connection.
    pub(crate) fn read(
        head: &[u8],
        is_head: bool,
    ) -> Result<(Response<()>, Framing, bool), HeadError> {
        let mut fields_buf = no_fields();
        let head = ResponseHead::parse(head, &mut fields_buf, is_head)?;
        Ok((head.to_http2()?, head.framing, head.keep_alive))
    }

    fn end_to_end_fields(&self) -> impl Iterator<Item = &httparse::Header<'b>> {
        self.fields.iter().filter(|field| {
            let name = field.name.as_bytes();
            !(headers::is_hop_by_hop(name)
                || name.eq_ignore_ascii_case(b"content-length")
                || self.nominated.iter().any(|n| n.eq_ignore_ascii_case(name)))
        })
    }

    /// A field of this name ends here: the proxy says it itself.
    pub(crate) fn leave_out(&mut self, name: &'static str) {
        self.nominated.push(name.as_bytes());
    }

    /// Writes the head for an HTTP/1 client; `framing` is what its body will have there.
    pub(crate) fn write_to(&self, out: &mut BytesMut, framing: Framing, after: Persistence) {
        put_status_line(out, self.status, self.reason);
        for field in self.end_to_end_fields() {
            put_field(out, field.name.as_bytes(), field.value);
        }
        match self.stated_length {
            Some(length) => Framing::Length(length).put_fields(out),
            None if self.status >= 200 => framing.put_fields(out),
            None => {}
        }
        put_end(out, after);
    }

    /// Writes an answer that switches to WebSocket (RFC 6455 §4.2.2).
    pub(crate) fn write_upgrade_to(&self, out: &mut BytesMut) {
        put_status_line(out, self.status, self.reason);
        for field in self.end_to_end_fields() {
            put_field(out, field.name.as_bytes(), field.value);
        }
        out.put_slice(b"connection: upgrade\r\nupgrade: websocket\r\n\r\n");
    }

    /// The head for an HTTP/2 client.
    pub(crate) fn to_http2(&self) -> Result<Response<()>, HeadError> {
        let mut fields = HeaderMap::with_capacity(self.fields.len());
        for field in self.end_to_end_fields() {
            let name = HeaderName::from_bytes(field.name.as_bytes());
            let value = HeaderValue::from_bytes(field.value);
            if let (Ok(name), Ok(value)) = (name, value) {
                fields.append(name, value);
            }
        }
        let length = match self.framing {
            Framing::Length(length) => Some(length),
            _ => self.stated_length,
        };
        if let Some(length) = length {
            fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let mut response = Response::new(());
        *response.status_mut() =
            StatusCode::from_u16(self.status).map_err(|_| HeadError::Malformed)?;
        *response.headers_mut() = fields;
        Ok(response)
    }
}

/// Writes the head of an HTTP/2 upstream's response for an HTTP/1 client.
pub(crate) fn write_from_http2(
    response: &Response<()>,
    out: &mut BytesMut,
    framing: Framing,
    after: Persistence,
) {
    let status = response.status();
    put_status_line(
        out,
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
    );
    for (name, value) in response.headers() {
        let name = name.as_str().as_bytes();
        if !headers::is_hop_by_hop(name) && name != b"content-length" {
            put_field(out, name, value.as_bytes());
        }
    }
    if !status.is_informational() {
        match stated_length(response) {
            // RFC 9110 §8.6: a 204 has none.
            Some(length) if status != StatusCode::NO_CONTENT => {
                Framing::Length(length).put_fields(out);
            }
            _ => framing.put_fields(out),
        }
    }
    put_end(out, after);
}

/// How the body of an HTTP/2 upstream's response ends. `ended`: with its head.
pub(crate) fn framing_of_http2(response: &Response<()>, is_head: bool, ended: bool) -> Framing {
    match stated_length(response) {
        _ if is_head || matches!(response.status().as_u16(), 204 | 304) => Framing::None,
        Some(length) => Framing::Length(length),
        None if ended => Framing::Length(0),
        None => Framing::Chunked,
    }
}

/// The content-length of a response, if it has a usable one.
fn stated_length(response: &Response<()>) -> Option<u64> {
    let value = response.headers().get(CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}

fn put_status_line(out: &mut BytesMut, status: u16, reason: &str) {
    out.reserve(512);
    out.put_slice(b"HTTP/1.1 ");
    let digits = [status / 100, status / 10 % 10, status % 10];
    out.put_slice(&digits.map(|digit| b'0' + digit as u8));
    out.put_u8(b' ');
    out.put_slice(reason.as_bytes());
    out.put_slice(b"\r\n");
}

fn put_end(out: &mut BytesMut, after: Persistence) {
    out.put_slice(match after {
        Persistence::Default => b"\r\n",
        Persistence::Explicit => b"connection: keep-alive\r\n\r\n",
        Persistence::Close => b"connection: close\r\n\r\n",
    });
}
