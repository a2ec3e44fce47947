//! HTTP/1.1 message bodies: bytes to frames and back, chunk by chunk as they come (RFC 9112 §6, §7).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::proxy::codec::h1::head_scanner::HeadScan;
use crate::proxy::codec::headers::{self, put_field};
use crate::proxy::codec::message::{
    Frame, Framing, FramingError, MAX_TRAILER_FIELDS, MAX_TRAILERS,
};

/// What the decoder has to say.
#[derive(Debug)]
pub(crate) enum Decoded {
    Frame(Frame),
    End,
    NeedMore,
}

/// Bytes of a chunk-size line, its extensions included.
const MAX_SIZE_LINE: usize = 1024;
/// Bytes of chunk extensions in one body: they are dropped, and must not be a way to keep us busy.
const MAX_EXTENSIONS: usize = 64 * 1024;
/// Bytes below which a copy costs less than what it would keep.
const SMALL_PIECE: usize = 1024;

/// RequestScheduler received bytes into frames.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
    extensions: usize,
}

#[derive(Debug)]
enum State {
    Length(u64),
    UntilClose,
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers(HeadScan),
    Done,
}

impl Decoder {
    pub(crate) fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::ChunkSize,
            Framing::UntilClose => State::UntilClose,
        };
        Self {
            state,
            extensions: 0,
        }
    }

    /// The body is complete.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// The peer ended the stream: whether the body ends with it.
    pub(crate) fn ends_with_stream(&mut self) -> bool {
        let ends = matches!(self.state, State::UntilClose | State::Done);
        if ends {
            self.state = State::Done;
        }
        ends
    }

    /// Takes the next piece out of `buf`.
    pub(crate) fn decode(&mut self, buf: &mut BytesMut) -> Result<Decoded, FramingError> {
        loop {
            match &mut self.state {
                State::Done => return Ok(Decoded::End),
                _ if buf.is_empty() => return Ok(Decoded::NeedMore),
                State::UntilClose => return Ok(data(buf.split())),
                State::Length(left) => {
                    let piece = take(buf, left);
                    if *left == 0 {
                        self.state = State::Done;
                    }
                    return Ok(data(piece));
                }
                State::ChunkData(left) => {
                    let piece = take(buf, left);
                    if *left == 0 {
                        self.state = State::ChunkEnd;
                    }
                    return Ok(data(piece));
                }
                State::ChunkSize => {
                    let Some(size) = self.chunk_size(buf)? else {
                        return Ok(Decoded::NeedMore);
                    };
                    self.state = match size {
                        0 => State::Trailers(HeadScan::in_trailers()),
                        size => State::ChunkData(size),
                    };
                }
                State::ChunkEnd => match buf.get(..2) {
                    Some(b"\r\n") => {
                        buf.advance(2);
                        self.state = State::ChunkSize;
                    }
                    None if buf[0] == b'\r' => return Ok(Decoded::NeedMore),
                    _ => return Err(FramingError::ChunkEnd),
                },
                State::Trailers(scan) => {
                    let end = scan
                        .advance(buf, MAX_TRAILERS)
                        .map_err(|_| FramingError::Trailers)?;
                    let Some(end) = end else {
                        return Ok(Decoded::NeedMore);
                    };
                    self.state = State::Done;
                    let trailers = parse_trailers(&buf.split_to(end))?;
                    if !trailers.is_empty() {
                        return Ok(Decoded::Frame(Frame::Trailers(trailers)));
                    }
                }
            }
        }
    }

    /// `chunk-size [ chunk-ext ] CRLF` (RFC 9112 §7.1); extensions are dropped.
    fn chunk_size(&mut self, buf: &mut BytesMut) -> Result<Option<u64>, FramingError> {
        let Some(end) = memchr::memchr2(b'\n', b'\r', buf) else {
            return unfinished(buf.len());
        };
        match (buf[end], buf.get(end + 1)) {
            (b'\r', Some(b'\n')) => {}
            (b'\r', None) => return unfinished(buf.len()),
            _ => return Err(FramingError::ChunkSize),
        }
        let line = buf.split_to(end + 2);
        let line = &line[..end];
        let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let rest = line[digits..].trim_ascii_start();
        if digits == 0 || digits > 16 || !(rest.is_empty() || rest[0] == b';') {
            return Err(FramingError::ChunkSize);
        }
        if rest.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
            return Err(FramingError::ChunkSize);
        }
        self.extensions += rest.len();
        if self.extensions > MAX_EXTENSIONS || line.len() > MAX_SIZE_LINE {
            return Err(FramingError::Extensions);
        }
        let size = line[..digits]
            .iter()
            .fold(0, |size, digit| size << 4 | u64::from(hex(*digit)));
        Ok(Some(size))
    }
}

fn unfinished(length: usize) -> Result<Option<u64>, FramingError> {
    if length > MAX_SIZE_LINE {
        return Err(FramingError::ChunkSize);
    }
    Ok(None)
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        other => other.to_ascii_lowercase() - b'a' + 10,
    }
}

/// A small piece is copied: unsent, it would otherwise keep the whole buffer it arrived in.
fn data(piece: BytesMut) -> Decoded {
    Decoded::Frame(Frame::Data(if piece.len() < SMALL_PIECE {
        Bytes::copy_from_slice(&piece)
    } else {
        piece.freeze()
    }))
}

fn take(buf: &mut BytesMut, left: &mut u64) -> BytesMut {
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(buf.len());
    *left -= count as u64;
    buf.split_to(count)
}

fn parse_trailers(section: &[u8]) -> Result<HeaderMap, FramingError> {
    let mut fields_buf = [httparse::EMPTY_HEADER; MAX_TRAILER_FIELDS];
    let parsed = httparse::parse_headers(section, &mut fields_buf);
    let Ok(httparse::Status::Complete((_, fields))) = parsed else {
        return Err(FramingError::Trailers);
    };
    let mut trailers = HeaderMap::new();
    for field in fields {
        if headers::forbidden_in_trailers(field.name.as_bytes()) {
            continue;
        }
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_bytes(field.value);
        if let (Ok(name), Ok(value)) = (name, value) {
            trailers.append(name, value);
        }
    }
    Ok(trailers)
}

/// Writes the line before a chunk's content.
pub(crate) fn put_chunk_size(out: &mut BytesMut, length: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = (usize::BITS - length.leading_zeros()).div_ceil(4).max(1);
    if out.capacity() < 18 {
        out.reserve(256);
    }
    for digit in (0..digits).rev() {
        out.put_u8(DIGITS[length >> (4 * digit) & 0xf]);
    }
    out.put_slice(b"\r\n");
}

/// The end of a chunked body.
pub(crate) fn last_chunk(trailers: Option<&HeaderMap>) -> Bytes {
    let Some(trailers) = trailers else {
        return Bytes::from_static(b"0\r\n\r\n");
    };
    let mut end = BytesMut::from(&b"0\r\n"[..]);
    for (name, value) in trailers {
        if !headers::forbidden_in_trailers(name.as_str().as_bytes()) {
            put_field(&mut end, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    end.put_slice(b"\r\n");
    end.freeze()
}

#[cfg(test)]
mod tests;
