//! The head of a message of HTTP/1.1, as far as the measuring needs it.

use std::io::{self, ErrorKind};

/// The start of a message, as far as the measuring needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Of a response; 0 for a request.
    pub status: u16,
    /// Of a request; empty for a response.
    pub method: String,
    pub target: String,
    pub body: Body,
    pub keep_alive: bool,
    /// `expect: 100-continue` was sent along.
    pub expects_continue: bool,
}

impl Head {
    /// Another response follows to the same request; behind 101 it would not be HTTP (RFC 9110, section 15.2).
    pub(super) fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// How much of a body is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    Length(u64),
    /// Bytes left in the current chunk; none before the first size line.
    Chunk(Option<u64>),
    UntilClose,
    Done,
}

pub(super) fn invalid(message: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, message.to_owned())
}

/// A head and its length; none while it is not whole.
pub(super) fn parse(bytes: &[u8], request: bool) -> io::Result<Option<(Head, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = Head {
        status: 0,
        method: String::new(),
        target: String::new(),
        body: Body::UntilClose,
        keep_alive: true,
        expects_continue: false,
    };
    let (parsed, version) = if request {
        let mut message = httparse::Request::new(&mut fields);
        let parsed = message.parse(bytes);
        message
            .method
            .unwrap_or_default()
            .clone_into(&mut head.method);
        message
            .path
            .unwrap_or_default()
            .clone_into(&mut head.target);
        head.body = Body::Done;
        (parsed, message.version)
    } else {
        let mut message = httparse::Response::new(&mut fields);
        let parsed = message.parse(bytes);
        head.status = message.code.unwrap_or(0);
        (parsed, message.version)
    };
    let parsed = parsed.map_err(|error| invalid(&format!("not HTTP/1.1: {error}")))?;
    let httparse::Status::Complete(length) = parsed else {
        return Ok(None);
    };
    // HTTP/1.0 ends the connection where nothing else is said (RFC 9112, section 9.3).
    head.keep_alive = version != Some(0);
    read_fields(&fields, &mut head)?;
    if head.is_interim() || matches!(head.status, 204 | 304) {
        head.body = Body::Done;
    }
    Ok(Some((head, length)))
}

fn read_fields(fields: &[httparse::Header<'_>], head: &mut Head) -> io::Result<()> {
    for field in fields.iter().take_while(|field| !field.name.is_empty()) {
        let value = std::str::from_utf8(field.value).unwrap_or_default();
        match field.name.to_ascii_lowercase().as_str() {
            "content-length" => {
                let length = value
                    .parse()
                    .map_err(|_| invalid("content-length is not a number"))?;
                head.body = Body::Length(length);
            }
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => {
                head.body = Body::Chunk(None);
            }
            "connection" => {
                let says = |word| {
                    value
                        .split(',')
                        .any(|said| said.trim().eq_ignore_ascii_case(word))
                };
                head.keep_alive = !says("close") && (head.keep_alive || says("keep-alive"));
            }
            "expect" => head.expects_continue = true,
            _ => {}
        }
    }
    Ok(())
}
