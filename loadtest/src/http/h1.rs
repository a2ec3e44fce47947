//! One HTTP/1.1 connection, client side (RFC 9112): request out, head in, body in by pieces as they arrive,
//! so that each token of a stream gets its own time stamp. Also reads requests, for the tool's own stub.

use std::future::poll_fn;
use std::io::{self, ErrorKind};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::net::inbox::Inbox;

/// Filler goes out in pieces of this length.
const PIECE: usize = 64 * 1024;
const HEAD_LIMIT: usize = 64 * 1024;
static ZEROS: [u8; PIECE] = [b'0'; PIECE];

/// A connection with what was read ahead.
#[derive(Debug)]
pub struct H1<S> {
    pub stream: S,
    inbox: Inbox,
}

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

/// How much of a body is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    Length(u64),
    /// Bytes left in the current chunk; none before the first size line.
    Chunk(Option<u64>),
    UntilClose,
    Done,
}

impl<S: AsyncRead + AsyncWrite + Unpin> H1<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            inbox: Inbox::default(),
        }
    }

    /// Whether the peer's next bytes are these; reads on until that is decided.
    pub async fn begins_with(&mut self, expected: &[u8]) -> io::Result<bool> {
        loop {
            let unread = self.inbox.unread();
            let seen = unread.len().min(expected.len());
            if unread[..seen] != expected[..seen] {
                return Ok(false);
            }
            if seen == expected.len() {
                return Ok(true);
            }
            if self.fill().await? == 0 {
                return Ok(false);
            }
        }
    }

    /// The stream, and what was read of it but not used.
    pub fn into_parts(self) -> (S, Vec<u8>) {
        let unread = self.inbox.unread().to_vec();
        (self.stream, unread)
    }

    /// Sends a ready head and `body` filler bytes.
    pub async fn send(&mut self, head: &[u8], body: u64) -> io::Result<()> {
        let first = (ZEROS.len() - head.len().min(ZEROS.len())).min(body as usize);
        if first > 0 {
            // Head and small body in one write: one record, one segment.
            self.stream
                .write_all(&[head, &ZEROS[..first]].concat())
                .await?;
        } else {
            self.stream.write_all(head).await?;
        }
        let mut left = body - first as u64;
        while left > 0 {
            let piece = left.min(PIECE as u64) as usize;
            self.stream.write_all(&ZEROS[..piece]).await?;
            left -= piece as u64;
        }
        self.stream.flush().await
    }

    /// Reads the head of a response that must come.
    pub async fn response(&mut self) -> io::Result<Head> {
        let head = self.head(false).await?;
        head.ok_or_else(|| ErrorKind::UnexpectedEof.into())
    }

    /// Reads the next message head; none where the peer closed between messages.
    pub async fn head(&mut self, request: bool) -> io::Result<Option<Head>> {
        loop {
            let unread = self.inbox.unread();
            if let Some((head, length)) = parse(unread, request)? {
                self.inbox.take(length);
                if head.status == 100 {
                    continue;
                }
                return Ok(Some(head));
            }
            if unread.len() > HEAD_LIMIT {
                return Err(invalid("message head longer than 64 KiB"));
            }
            let empty = unread.is_empty();
            if self.fill().await? == 0 {
                return if empty {
                    Ok(None)
                } else {
                    Err(ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }

    /// The next piece of the body as it arrived; none at its end.
    pub async fn piece(&mut self, body: &mut Body) -> io::Result<Option<&[u8]>> {
        let Some(left) = self.left(body).await? else {
            return Ok(None);
        };
        if self.inbox.unread().is_empty() && self.fill().await? == 0 {
            return match body {
                Body::UntilClose => Ok(None),
                _ => Err(ErrorKind::UnexpectedEof.into()),
            };
        }
        let piece = self.inbox.take(usize::try_from(left).unwrap_or(usize::MAX));
        match body {
            Body::Length(left) | Body::Chunk(Some(left)) => *left -= piece.len() as u64,
            _ => {}
        }
        Ok(Some(piece))
    }

    /// Reads the body to its end and returns its length in bytes.
    pub async fn drain(&mut self, mut body: Body) -> io::Result<u64> {
        let mut total = 0;
        while let Some(piece) = self.piece(&mut body).await? {
            total += piece.len() as u64;
        }
        Ok(total)
    }

    /// Bytes until the next boundary of the body; reads chunk sizes as they come.
    async fn left(&mut self, body: &mut Body) -> io::Result<Option<u64>> {
        loop {
            match body {
                Body::Done | Body::Length(0) => return Ok(None),
                Body::Length(left) => return Ok(Some(*left)),
                Body::UntilClose => return Ok(Some(u64::MAX)),
                Body::Chunk(Some(left)) if *left > 0 => return Ok(Some(*left)),
                Body::Chunk(state) => {
                    if state.is_some() && !self.line().await?.is_empty() {
                        return Err(invalid("chunk not followed by an empty line"));
                    }
                    let line = self.line().await?;
                    let size = line.split(|c| *c == b';').next().unwrap_or_default();
                    let size = std::str::from_utf8(size)
                        .ok()
                        .and_then(|s| u64::from_str_radix(s.trim(), 16).ok());
                    match size.ok_or_else(|| invalid("chunk size is not hexadecimal"))? {
                        0 => {
                            while !self.line().await?.is_empty() {}
                            *body = Body::Done;
                        }
                        size => *body = Body::Chunk(Some(size)),
                    }
                }
            }
        }
    }

    async fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let unread = self.inbox.unread();
            if let Some(end) = unread.windows(2).position(|pair| pair == b"\r\n") {
                let line = unread[..end].to_vec();
                self.inbox.take(end + 2);
                return Ok(line);
            }
            if unread.len() > HEAD_LIMIT {
                return Err(invalid("line longer than 64 KiB"));
            }
            if self.fill().await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        let Self { stream, inbox } = self;
        poll_fn(|cx| inbox.poll_fill(stream, cx)).await
    }
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, message.to_owned())
}

fn parse(bytes: &[u8], request: bool) -> io::Result<Option<(Head, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = Head {
        status: 0,
        method: String::new(),
        target: String::new(),
        body: Body::UntilClose,
        keep_alive: true,
        expects_continue: false,
    };
    let parsed = if request {
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
        parsed
    } else {
        let mut message = httparse::Response::new(&mut fields);
        let parsed = message.parse(bytes);
        head.status = message.code.unwrap_or(0);
        parsed
    };
    let parsed = parsed.map_err(|error| invalid(&format!("not HTTP/1.1: {error}")))?;
    let httparse::Status::Complete(length) = parsed else {
        return Ok(None);
    };
    read_fields(&fields, &mut head)?;
    if matches!(head.status, 204 | 304 | 100) {
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
            "connection" => head.keep_alive = !value.eq_ignore_ascii_case("close"),
            "expect" => head.expects_continue = true,
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
