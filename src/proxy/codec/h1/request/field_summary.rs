//! What the fields of a head say together: how its body is framed, and what becomes of the connection.

use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::codec::headers::{self, has_item};
use crate::proxy::codec::media_type::is_grpc;
use crate::proxy::codec::message::Framing;

/// What the fields of a head say together.
#[derive(Default)]
pub(in crate::proxy::codec::h1) struct FieldSummary<'b> {
    pub(super) length: Option<u64>,
    pub(in crate::proxy::codec::h1) chunked: bool,
    host: Option<&'b [u8]>,
    hosts: usize,
    pub(in crate::proxy::codec::h1) close: bool,
    pub(super) keep: bool,
    pub(in crate::proxy::codec::h1) upgrade: bool,
    pub(in crate::proxy::codec::h1) websocket: bool,
    pub(super) trailers: bool,
    pub(super) grpc: bool,
    pub(in crate::proxy::codec::h1) nominated: Vec<&'b [u8]>,
}

impl<'b> FieldSummary<'b> {
    pub(in crate::proxy::codec::h1) fn absorb_field(
        &mut self,
        field: &httparse::Header<'b>,
    ) -> Result<(), HeadError> {
        let value = field.value;
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        match field.name.len() {
            2 if is("te") => self.trailers |= has_item(value, b"trailers"),
            4 if is("host") => {
                self.hosts += 1;
                self.host = Some(value);
            }
            7 if is("upgrade") => self.websocket |= has_item(value, b"websocket"),
            10 if is("connection") => self.connection(value),
            12 if is("content-type") => self.grpc |= is_grpc(value),
            14 if is("content-length") => {
                let length = parse_length(value).ok_or(HeadError::ContentLength)?;
                if self.length.replace(length).is_some() {
                    return Err(HeadError::ContentLength);
                }
            }
            17 if is("transfer-encoding") => {
                if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(HeadError::TransferEncoding);
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn connection(&mut self, value: &'b [u8]) {
        for item in headers::items(value) {
            match item {
                b"" => {}
                item if item.eq_ignore_ascii_case(b"close") => self.close = true,
                item if item.eq_ignore_ascii_case(b"keep-alive") => self.keep = true,
                item if item.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
                item => self.nominated.push(item),
            }
        }
    }

    pub(in crate::proxy::codec::h1) fn keep_alive(&self, minor: u8) -> bool {
        !self.close && (minor == 1 || self.keep)
    }

    /// The length of the body, if its fields agree (RFC 9112 §6.3).
    pub(in crate::proxy::codec::h1) fn length(&self) -> Result<Option<u64>, HeadError> {
        match (self.length, self.chunked) {
            (Some(_), true) => Err(HeadError::BothFramings),
            (length, _) => Ok(length),
        }
    }

    /// The one host that HTTP/1.1 asks for (RFC 9112 §3.2).
    pub(super) fn host(&self, minor: u8) -> Result<Option<&'b [u8]>, HeadError> {
        if minor == 1 && self.hosts != 1 || self.hosts > 1 {
            return Err(HeadError::Host);
        }
        Ok(self.host)
    }

    pub(super) fn framing(&self, minor: u8) -> Result<Framing, HeadError> {
        match self.length()? {
            Some(0) => Ok(Framing::Length(0)),
            Some(length) => Ok(Framing::Length(length)),
            None if self.chunked && minor == 0 => Err(HeadError::TransferEncoding),
            None if self.chunked => Ok(Framing::Chunked),
            None => Ok(Framing::None),
        }
    }
}

/// Only digits: no sign, no list, no space inside (RFC 9110 §8.6).
fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}
